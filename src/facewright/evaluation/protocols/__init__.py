"""Published protocols, one a file, and the only table of their names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from facewright.evaluation.protocols.bai import BaiSettings, measure_bai
from facewright.evaluation.protocols.dace import DaceSettings, measure_dace
from facewright.evaluation.protocols.dense import DenseSettings, measure_nme, measure_tewari
from facewright.evaluation.protocols.facescape import FacescapeSettings, measure_facescape
from facewright.evaluation.protocols.metric import MetricSettings, measure_metric
from facewright.evaluation.protocols.micc import MiccSettings, measure_micc
from facewright.evaluation.protocols.nonrigid import NonrigidSettings, measure_nonrigid
from facewright.evaluation.protocols.now import NowSettings, measure_now
from facewright.evaluation.protocols.realy import RealySettings, measure_realy
from facewright.evaluation.protocols.rmse import RmseSettings, measure_rmse
from facewright.evaluation.records import FaceSample, Measurement
from facewright.evaluation.regions import RegionTemplate


@dataclass(frozen=True)
class Protocol:
    """A way to measure.

    Attributes:
        settings: a frozen dataclass that names its source; goes into the table.
        measure: takes prediction, scan and the settings; with ``regions`` also the template of the regions.
        headline: the number that papers quote: a field of the first part's summary, or a name among the
            values.
        regions: whether the protocol needs regions.
    """

    settings: Any
    measure: Callable[..., Measurement]
    headline: str = "mean"
    regions: bool = False

    def __call__(
        self, prediction: FaceSample, scan: FaceSample, template: RegionTemplate | None = None
    ) -> Measurement:
        """Measure one pair.

        Raises:
            InputError: the pair cannot be measured by this protocol; the message says why.
        """
        if self.regions:
            return self.measure(prediction, scan, self.settings, template)
        return self.measure(prediction, scan, self.settings)


PROTOCOLS: Mapping[str, Protocol] = {
    "now": Protocol(NowSettings(), measure_now, "median"),
    "now-metrical": Protocol(NowSettings(with_scale=False), measure_now, "median"),
    "realy": Protocol(RealySettings(), measure_realy, "all", regions=True),
    "nonrigid": Protocol(NonrigidSettings(), measure_nonrigid),
    "metric": Protocol(MetricSettings(), measure_metric),
    "micc": Protocol(MiccSettings(), measure_micc, "symmetric"),
    "facescape": Protocol(FacescapeSettings(), measure_facescape, "chamfer"),
    "bai": Protocol(BaiSettings(), measure_bai),
    "tewari": Protocol(DenseSettings(), measure_tewari),
    "nme": Protocol(DenseSettings(), measure_nme),
    "dace": Protocol(DaceSettings(), measure_dace),
    "rmse": Protocol(RmseSettings(), measure_rmse, "rms"),
}
