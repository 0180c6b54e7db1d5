"""The back end of an acquirer, as far as this example goes: it signs orders, answers inquiries, and reads the terminal's receipts.

Nothing of Reinstate is imported here: this is somebody else's program, written after docs/wire-format.md.
"""

import hashlib
import queue
import ssl
import threading
import time
from pathlib import Path
from typing import Any, Self

import cbor2
import paho.mqtt.client as mqtt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

ES256, ALG, KID = -9, 1, 4  # COSE
ISSUER, SUBJECT, EXPIRES, ISSUED_AT, MESSAGE = 1, 2, 4, 6, -65537  # claims
VERSION = 1
RECEIPT, INQUIRY, ORDER, ANSWER = 6, 7, 16, 19  # kinds
LIFETIME_S = 3600
LIMIT_S = 20


class BackEnd:
    """For one terminal.

    sequence: of the last message to it; terminal_key: its public key, 64 bytes x || y; the paths are PEM files.
    """

    def __init__(
        self,
        *,
        acquirer: str,
        terminal: str,
        sequence: int,
        host: str,
        port: int,
        authority: Path,
        certificate: Path,
        private_key: Path,
        signing_key: Path,
        terminal_key: bytes,
    ) -> None:
        self.acquirer = acquirer
        self.terminal = terminal
        self.sequence = sequence
        self.was_asked = threading.Event()  # a terminal without a clock of its own takes no order before it knows the time
        self.receipts: queue.Queue[dict[int, Any]] = queue.Queue()
        key = load_pem_private_key(signing_key.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self.key = key
        self._terminal_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + terminal_key)
        self._address = (host, port)
        self._listens = threading.Event()
        self._sending = threading.Lock()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, f"{acquirer}-back-end")
        tls = ssl.create_default_context(cafile=authority)
        tls.load_cert_chain(certificate, private_key)
        self._client.tls_set_context(tls)
        self._client.on_connect = lambda client, *_: client.subscribe([(self.topic("receipt"), 1), (self.topic("inquiry"), 1)])
        self._client.on_subscribe = lambda *_: self._listens.set()
        self._client.on_message = self._heard

    def __enter__(self) -> Self:
        self._client.connect(*self._address)
        self._client.loop_start()
        assert self._listens.wait(LIMIT_S), "the broker does not let it listen"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def topic(self, kind: str) -> str:
        return f"poi/v1/{self.acquirer}/{self.terminal}/{kind}"

    def suspend(self, reason: str, case: str) -> bytes:
        """Order it, in a message of its own; gives the message."""
        with self._sending:
            self.sequence += 1
            return self.publish("order", self.signed("order", ORDER, {1: "suspend", 2: reason, 4: case}, self.sequence))

    def obeyed(self, message: bytes) -> bool:
        """Whether the terminal's own receipt says so."""
        while True:
            receipt = self.receipts.get(timeout=LIMIT_S)
            if receipt[1] == hashlib.sha256(message).digest()[:16]:
                return bool(receipt[2] == "SUCC")

    def publish(self, kind: str, message: bytes) -> bytes:
        self._client.publish(self.topic(kind), message, qos=1)
        return message

    def signed(self, kind: str, number: int, body: dict[int, Any], sequence: int, expires: int | None = None) -> bytes:
        """COSE_Sign1 over the claims, bound to the topic."""
        now = int(time.time())
        claims = {
            ISSUER: self.acquirer,
            SUBJECT: self.terminal,
            EXPIRES: now + LIFETIME_S if expires is None else expires,
            ISSUED_AT: now,
            MESSAGE: [VERSION, number, sequence, body],
        }
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
        protected = cbor2.dumps({ALG: ES256, KID: hashlib.sha256(point).digest()[:8]}, canonical=True)
        payload = cbor2.dumps(claims, canonical=True)
        r, s = decode_dss_signature(self.key.sign(_to_sign(protected, self.topic(kind), payload), ec.ECDSA(SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]))

    def _heard(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        """What the terminal has not signed counts for nothing."""
        protected, _, payload, signature = cbor2.loads(message.payload).value
        der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        try:
            self._terminal_key.verify(der, _to_sign(protected, message.topic, payload), ec.ECDSA(SHA256()))
        except InvalidSignature:
            return
        _, kind, _, body = cbor2.loads(payload)[MESSAGE]
        if kind == RECEIPT:
            self.receipts.put(body)
        elif kind == INQUIRY:  # the terminal asks whether anybody is there, and what time it is
            with self._sending:
                self.sequence += 1
                self.publish("answer", self.signed("answer", ANSWER, {1: body[1]}, self.sequence))
            self.was_asked.set()


def _to_sign(protected: bytes, topic: str, payload: bytes) -> bytes:
    return cbor2.dumps(["Signature1", protected, topic.encode(), payload])
