"""Why, who and in what way otherwise: what can be read from the events of runs."""
