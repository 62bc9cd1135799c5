"""The recipe of `prepare` and `pretrain`."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from bertwright.config.base import ModelConfig, OptimizerSettings, Settings, TrainSettings


class CorpusSettings(Settings):
    """[corpus]: where the text is and how it becomes records."""

    files: list[str]
    """Files, folders or glob patterns; $VARIABLES are expanded; .gz, .xz and .zst are read as they are."""
    reader: Literal["documents", "sentences", "lines", "table", "symbols", "fasta"] = "lines"
    """documents: a document a file. sentences: a sentence a line, a blank line between documents. lines: a document a
    line. table: csv, tsv or jsonl with named columns. symbols: a sequence a line, symbols separated by spaces. fasta:
    a sequence for each header."""
    strands: Literal["given", "both"] = "given"
    """fasta: both reads the reverse complement of each sequence, too; the two stay on one side of the split."""
    text_column: str = "text"
    """table: the column that holds the text."""
    id_column: str | None = None
    """table: the column that holds the record's id; without it the id is FILE:LINE."""
    language_column: str | None = None
    """table: the column that holds the record's language or kind."""
    language: str = "und"
    """Language or kind of every record, where no column says it (a BCP 47 tag; und is "undetermined")."""
    split_sentences: bool = True
    """Cut documents into sentences (documents, lines, table); otherwise a document is one segment."""
    words: Literal["tokenizer", "spaces", "segmenter", "column"] = "tokenizer"
    """Where words begin, for objective.unit = "word" or "span". tokenizer: as it sees them, in Chinese at every
    character. spaces: after white space, in text that was cut into words. segmenter: as rjieba cuts Chinese (extra
    zh). column: as words_column says."""
    words_column: str | None = None
    """table: the column with the text once more, its words separated by spaces, for words = "column"."""
    normalization: Literal["none", "nfc", "nfkc"] = "none"
    """Unicode normalisation of the text."""
    drop_duplicates: bool = True
    """Drop records whose text was seen before; they are counted."""
    held_out: float = Field(default=0.01, gt=0.0, lt=1.0)
    """Share of the records that is kept out of training, to measure the loss on."""
    held_out_by: Literal["record", "block", "column"] = "record"
    """record: by a hash of the text. block: records are cut into blocks of 10,000 symbols, held out by a hash (few and
    long records: genomes, books). column: all records with the same value in held_out_column go together."""
    held_out_column: str | None = None
    """table: the column (work, chromosome, author) for held_out_by = "column"."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.held_out_by == "column") != (self.held_out_column is not None):
            raise ValueError('held_out_by = "column" and held_out_column go together')
        if (self.words == "column") != (self.words_column is not None):
            raise ValueError('words = "column" and words_column go together')
        if self.reader != "table" and (self.held_out_column is not None or self.words_column is not None):
            raise ValueError('held_out_column and words_column need reader = "table"')
        if self.strands == "both" and self.reader != "fasta":
            raise ValueError('strands = "both" needs reader = "fasta"')
        return self


class TokenizerSettings(Settings):
    """[tokenizer]: how text becomes ids."""

    kind: Literal["wordpiece", "bpe", "characters", "symbols"] = "wordpiece"
    """wordpiece: BERT's, Chinese characters kept apart. bpe: over bytes, nothing is unknown. characters: one token a
    character. symbols: one token for every run without spaces."""
    letters: Literal["any", "dna", "protein"] = "any"
    """dna, protein: in upper case, other letters than A, C, G, T or the twenty amino acids as N or X; each letter is a
    word. For kind = "characters", "bpe" (whose tokens are then the words), or "symbols" with kmer."""
    other_letters: Literal["map", "refuse"] = "map"
    """Letters that are not of the alphabet: map counts them and reads them as N or X, refuse ends with the sequence."""
    kmer: int = Field(default=1, ge=1, le=12)
    """Letters of a symbol, for kind = "symbols" (k-mers). 1: symbols are separated by spaces."""
    stride: int = Field(default=1, ge=1)
    """Letters from one k-mer to the next: from 1 (overlapping) to kmer (disjoint)."""
    vocabulary_size: int = Field(default=8192, ge=16)
    """Tokens at most, special ones included."""
    lowercase: bool = True
    """Lower-case the text; wordpiece also strips accents. The default is true for wordpiece only."""
    minimum_frequency: int = Field(default=2, ge=1)
    """Rarer symbols, characters and merges are left out."""
    sample_megabytes: float = Field(default=50.0, gt=0)
    """Text read at most to train the tokenizer; spread over the corpus, so that memory stays bounded."""
    folder: str | None = None
    """Take the tokenizer of this folder (without it: of start.checkpoint, if there is one) instead of training one."""
    added_tokens: int = Field(default=0, ge=0)
    """Add so many tokens to a tokenizer that was taken, at most: the most frequent words (wordpiece) or symbols of the
    corpus that are no token of it yet."""

    @model_validator(mode="before")
    @classmethod
    def _only_wordpiece_lowercases(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("kind", "wordpiece") != "wordpiece":
            values = {"lowercase": False, **values}
        return values

    @model_validator(mode="after")
    def _check_alphabet(self) -> Self:
        wanted = ("symbols",) if self.kmer > 1 else ("characters", "bpe")
        if (self.letters != "any" or self.kmer > 1) and self.kind not in wanted:
            kinds = " or ".join(f'"{kind}"' for kind in wanted)
            raise ValueError(f'letters = "{self.letters}" with kmer = {self.kmer} needs kind = {kinds}')
        if self.stride > self.kmer:
            raise ValueError(f"stride = {self.stride} leaves letters out between k-mers of {self.kmer}")
        if self.other_letters == "refuse" and self.letters == "any":
            raise ValueError('other_letters = "refuse" needs letters: of "any" there are no others')
        return self


class ObjectiveSettings(Settings):
    """[objective]: how a batch is corrupted and what is asked back (Devlin et al. 2019, section 3.1)."""

    unit: Literal["token", "word", "span"] = "token"
    """What is chosen as a whole. word: all tokens of a word; the tokenizer tells where words begin. span: one to ten
    words in a row, 3.8 on average (Joshi et al. 2020)."""
    masking_rate: float = Field(default=0.15, gt=0.0, lt=1.0)
    """Share of the tokens that the model must predict."""
    mask_share: float = Field(default=0.8, ge=0.0, le=1.0)
    """Of these, the share shown as [MASK]."""
    random_share: float = Field(default=0.1, ge=0.0, le=1.0)
    """Of these, the share shown as a random token; the rest is shown unchanged."""
    pair: Literal["none", "next_sentence", "sentence_order"] = "none"
    """next_sentence: does the second segment follow the first in its document, or is it from another one?
    sentence_order: do the two stand in their order, or swapped (Lan et al. 2020)?"""
    pair_weight: float = Field(default=1.0, gt=0.0)
    """Weight of the pair loss beside the masked-token loss."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.mask_share + self.random_share > 1.0 + 1e-9:
            raise ValueError("mask_share and random_share together exceed 1")
        return self


class MixtureSettings(Settings):
    """[mixture]: which stores are read, and in which shares, where it is not one store as it is."""

    stores: dict[str, float] = Field(default={})
    """Folder of a store -> its share of the tokens, relative to the others; they take the place of `store`. All come
    from one tokenizer (tokenizer.folder="stores/the-first" when the others are prepared)."""
    language_temperature: float = Field(default=1.0, gt=0)
    """T: a language with the share p of a store is read with a share proportional to p^(1/T); above 1, small languages
    are read more often than they occur. Multilingual BERT has 1.43, XLM-R 3.3."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if any(share <= 0 for share in self.stores.values()):
            raise ValueError("the share of a store must be above 0")
        return self


class PretrainStartSettings(Settings):
    """[start]: the weights that pre-training goes on from, on another corpus (domain adaptation)."""

    checkpoint: str
    """A checkpoint folder, a run, or a model of the hub: gives the shape, the weights and the tokenizer."""


class PretrainRecipe(Settings):
    """What `prepare` and `pretrain` do."""

    run: str
    """The run folder."""
    store: str | None = None
    """The store that `prepare` writes and `pretrain` reads."""
    mixture: MixtureSettings = MixtureSettings()
    corpus: CorpusSettings | None = None
    tokenizer: TokenizerSettings = TokenizerSettings()
    start: PretrainStartSettings | None = None
    model: ModelConfig = ModelConfig()
    """With a start only dropout may be given; the rest comes from the checkpoint."""
    objective: ObjectiveSettings = ObjectiveSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    train: TrainSettings

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.store is None) == (not self.mixture.stores):
            raise ValueError("one of store and mixture.stores is needed, and not both")
        if self.corpus is not None and self.store is None:
            raise ValueError("a corpus becomes one store: prepare each of mixture.stores by a recipe of its own")
        if self.corpus is not None and self.corpus.strands == "both" and self.tokenizer.letters == "protein":
            raise ValueError('corpus.strands = "both" is for DNA: a protein has no other strand')
        if self.tokenizer.added_tokens and self.start is None and self.tokenizer.folder is None:
            raise ValueError("tokenizer.added_tokens needs a tokenizer to add to: start.checkpoint or tokenizer.folder")
        of_checkpoint = self.start is not None and not self.model.vocabulary_size  # its shape is not known yet
        if self.train.length > self.model.max_length and not of_checkpoint:
            raise ValueError(f"train.length {self.train.length} exceeds model.max_length {self.model.max_length}")
        if self.objective.pair != "none" and self.model.segment_types < 2:
            raise ValueError('a pair objective needs two segment types: model.layout = "bert"')
        return self
