"""Requests for relaxations, their outcomes, and decisions about them. Contains no state of neurons."""
