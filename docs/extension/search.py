"""A search that knows the forms of English and of Russian words: labels and terms are Russian here, the rest is not."""

from __future__ import annotations

from typing import final

from sphinx import package_dir
from sphinx.application import Sphinx
from sphinx.search import SearchLanguage, languages
from sphinx.search.en import SearchEnglish
from sphinx.search.ru import SearchRussian

__all__ = ["SearchEnglishAndRussian", "setup"]


def _browser_code() -> str:
    folder = package_dir / "search" / "minified-js"
    parts = [(folder / f"{name}-stemmer.js").read_text(encoding="utf-8") for name in ("base", "english", "russian")]
    both = """
window.Stemmer = function () {
  const english = new EnglishStemmer(), russian = new RussianStemmer();
  this.stemWord = (word) => english.stemWord(russian.stemWord(word));
};"""
    return "\n".join((*parts, both))


@final
class SearchEnglishAndRussian(SearchLanguage):
    """Each of the two rules leaves the letters of the other language alone, so both are applied to every word."""

    lang = "en-ru"
    language_name = "English and Russian"
    stopwords = SearchEnglish.stopwords
    js_stemmer_code = _browser_code()

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        self._english = SearchEnglish(options)
        self._russian = SearchRussian(options)

    def stem(self, word: str) -> str:
        """Return what all forms of a word have in common; the browser does the same with what is looked for."""
        return self._english.stem(self._russian.stem(word))


def setup(_: Sphinx) -> None:
    """Make the language one that `html_search_language` may name."""
    languages[SearchEnglishAndRussian.lang] = SearchEnglishAndRussian
