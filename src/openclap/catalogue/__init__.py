"""Folders of sounds come in; files with descriptions or timelines go out, which the next run brings up to date."""

from openclap.catalogue.descriptions import describe_to_file
from openclap.catalogue.run import DescribeReport
from openclap.catalogue.timelines import timelines_to_folder

__all__ = ["DescribeReport", "describe_to_file", "timelines_to_folder"]
