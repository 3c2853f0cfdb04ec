"""ModelService."""

import grpc

from mien.errors import CalibrationNotFound, ModelNotFound, NotCalibrated
from mien.model.bundle import Bundle
from mien.server import messages
from mien.v1 import model_pb2, model_pb2_grpc


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def GetModel(
        self, request: model_pb2.GetModelRequest, context: grpc.ServicerContext
    ) -> model_pb2.Model:
        name = self._bundle.manifest.name
        if request.model_id not in ("", name):
            raise ModelNotFound(f"no model {request.model_id!r} is served; {name!r} is")
        return messages.write_model(self._bundle)

    def GetCalibration(
        self, request: model_pb2.GetCalibrationRequest, context: grpc.ServicerContext
    ) -> model_pb2.Calibration:
        calibration = self._bundle.calibration
        if calibration is None:
            raise NotCalibrated(
                f"the bundle {self._bundle.manifest.name!r} is not calibrated; calibrate it"
            )
        if request.calibration_id not in ("", calibration.calibration_id):
            raise CalibrationNotFound(
                f"there is no calibration {request.calibration_id!r}; the model that is served has "
                f"{calibration.calibration_id!r}"
            )
        return messages.write_calibration(calibration, request.samples_per_subject or 1)
