"""What equity costs: weights from zero upward."""
