"""What the judging of tables is made of: reading them, what their columns are, anomalies, rules."""
