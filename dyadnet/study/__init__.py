"""Studies: many small runs over a grid or random draws of settings, with results as a table and as maps."""

from dyadnet.study.definition import Study, read_study
from dyadnet.study.folder import StudyFolder
from dyadnet.study.plan import Trial, plan
from dyadnet.study.results import Results, load
from dyadnet.study.trial import Result, run_trial

__all__ = ["Result", "Results", "Study", "StudyFolder", "Trial", "load", "plan", "read_study", "run_trial"]
