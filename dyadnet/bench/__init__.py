"""Measurements on this machine: always ratios against something that ran in the same minute."""
