"""A conversation with a host: one process that answers question after question, a line each.

A question is a line of JSON on standard input, with `act` (`facts`, `start`) and, for what an agent
is told, `bytes`: so many follow it. It ends with its input. What was looked through for one answer
is not looked through again for the next.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from mapreduce.cluster.onhost import agents, facts, ground


def main() -> None:
    """Answer until nothing more is asked."""
    common: dict[str, Any] = json.loads(sys.argv[1])
    source, seen = sys.stdin.buffer, {}
    for line in iter(source.readline, b""):
        asked = dict(common, **json.loads(line))
        if asked["act"] == "facts":
            answer = facts.facts_for(asked)
            seen = dict.fromkeys(answer["whole"], True)
        else:
            body = source.read(asked["bytes"])
            if len(body) < asked["bytes"]:
                return  # whoever asked is gone
            try:
                asked["root"] = ground.of(asked)
                ground.checked(asked["root"])
                answer = agents.start(asked, body, seen)
            except OSError as error:
                answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
