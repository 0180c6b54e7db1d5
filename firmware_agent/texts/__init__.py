"""What the terminal says to people: texts by key, one language loaded at a time."""

from sys import modules

LANGUAGES = ("en", "zh-CN")  # IETF language tags (BCP 47)
_MODULES = {"en": "en", "zh-CN": "zh_cn"}


class Texts:
    """The texts of one language. language: its tag; table: key -> text with '%(name)s' where a value goes."""

    def __init__(self, language: str, table: "dict[str, str]") -> None:
        self.language = language
        self._table = table

    def get(self, key: str, **values: object) -> str:
        """The text of `key` with its values filled in: texts.get('suspended.since', since='2026-11-20 09:00').

        Raises KeyError that names the missing key, or the value that the text needs and was not given.
        """
        return self._table[key] % values


def load(language: str) -> Texts:
    """The texts of `language`, one of LANGUAGES; the other languages stay on flash, and what was loaded goes with who holds it: the runtime
    would keep the module. Raises ValueError for any other.
    """
    if language == "en":
        from firmware_agent.texts.en import TEXTS
    elif language == "zh-CN":
        from firmware_agent.texts.zh_cn import TEXTS
    else:
        raise ValueError("no texts in language " + repr(language))
    name = _MODULES[language]
    modules.pop(__name__ + "." + name, None)
    globals().pop(name, None)
    return Texts(language, TEXTS)
