"""A scenario folder: settings and tables, read with every problem said at once, and written."""
