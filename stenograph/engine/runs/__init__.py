"""What is done with runs as a whole: begin, take turns, fork, migrate, erase."""
