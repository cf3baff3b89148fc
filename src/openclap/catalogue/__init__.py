"""Descriptions and timelines of whole folders, in files of their own beside nothing of the user's; run again, they are brought up to date."""

from openclap.catalogue.descriptions import describe_to_file
from openclap.catalogue.run import DescribeReport
from openclap.catalogue.timelines import timelines_to_folder

__all__ = ["DescribeReport", "describe_to_file", "timelines_to_folder"]
