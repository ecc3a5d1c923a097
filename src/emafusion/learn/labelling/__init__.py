"""Labels where there is no reference: what judges make of drafts that cannot be compared."""

from emafusion.learn.labelling.joining import Judged, judged
from emafusion.learn.labelling.opinions import NOTHING, Opinions
from emafusion.learn.labelling.opinions import read as opinions_in

__all__ = ["NOTHING", "Judged", "Opinions", "judged", "opinions_in"]
