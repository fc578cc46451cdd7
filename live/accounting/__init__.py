"""What was served and what it cost, by the meters: settlement, statements, alerts."""
