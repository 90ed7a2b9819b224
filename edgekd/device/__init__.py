"""The machine that will run it: an agent over there, a session with its host, an artifact there as a Predict."""
