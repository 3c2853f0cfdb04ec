"""A gRPC server with one handler that does nothing; prints its address, then serves.

SECONDS, if given, are what the handler sleeps: `python empty.py 0.05`.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc


def main(pause: float) -> None:
    server = grpc.server(ThreadPoolExecutor(16))

    def nothing(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        if pause:
            time.sleep(pause)
        return b""

    handler = grpc.unary_unary_rpc_method_handler(nothing)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("empty", {"Empty": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.0)
