"""A gRPC server with one handler that does nothing; prints its address, then serves."""

from concurrent.futures import ThreadPoolExecutor

import grpc


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(16))
    handler = grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("empty", {"Empty": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
