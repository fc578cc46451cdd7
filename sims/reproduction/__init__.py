"""Printed figures of the eGLB papers, beside what public data give."""
