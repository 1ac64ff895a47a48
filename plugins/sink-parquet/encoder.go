package main

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"

	"tsrun/sdk"
)

const (
	format    = "parquet"
	leastRows = 1 << 10
	mostRows  = 1 << 22
	// pageBytes is how much of a column becomes a page: 16384 tags.
	pageBytes = 128 << 10
	// chunk is how many tags are handed over at a time.
	chunk = 1 << 13
)

// codecs are what a page can be compressed by.
var codecs = map[string]compress.Codec{"none": &parquet.Uncompressed, "snappy": &parquet.Snappy, "zstd": &parquet.Zstd}

// row is what a file has of each tag: 64 bits in DELTA_BINARY_PACKED, without a
// sign, as a time may be up to 2^64 - 1 ps.
type row struct {
	Ps uint64 `parquet:"ps,delta"`
}

// pair is one entry of a file's metadata.
type pair struct{ key, value string }

// simulated marks what was computed.
var simulated = pair{"SIMULATED", "computed and not measured"}

// about says what the tags of a segment are, for its metadata.
func about(node string, r sdk.Recording, s sdk.RecordedStream, nth int) []pair {
	channel := s.Name
	if node != "" {
		channel = node + "." + s.Name
	}
	of := []pair{
		{"tsrun.run", r.Run.String()}, {"tsrun.channel", channel}, {"tsrun.unit", "ps since the start of the acquisition"},
		{"tsrun.segment", strconv.Itoa(nth)}, {"tsrun.segment_ns", strconv.FormatInt(int64(r.Segment), 10)},
		{"tsrun.simulated", strconv.FormatBool(s.Simulated)},
	}
	if s.Simulated {
		of = append(of, simulated)
	}
	if s.Device != "" {
		of = append(of, pair{"tsrun.device", s.Device})
	}
	if r.Recipe != "" {
		of = append(of, pair{"tsrun.recipe_sha256", r.Recipe})
	}
	return of
}

// encoder is one file that is written. It holds the tags of one row group, packed.
type encoder struct {
	writer *parquet.GenericWriter[row]
	out    bytes.Buffer // what was written and not yet fetched
	rows   int          // of the row group
	most   int
	chunk  []row
}

func newEncoder(c config, of []pair) *encoder {
	e := &encoder{most: c.RowGroup}
	e.writer = parquet.NewGenericWriter[row](&e.out, writerOptions(c, of)...)
	return e
}

// writerOptions are those of every file.
func writerOptions(c config, of []pair) []parquet.WriterOption {
	options := []parquet.WriterOption{parquet.Compression(codecs[c.Compression]), parquet.PageBufferSize(pageBytes),
		parquet.WriteBufferSize(0), parquet.CreatedBy("tsrun sink-parquet", version, "")}
	for _, p := range of {
		options = append(options, parquet.KeyValueMetadata(p.key, p.value))
	}
	return options
}

func (e *encoder) Format() string { return format }

// Heading is nothing: the writer begins the file with its first row group.
func (e *encoder) Heading() []byte { return nil }

func (e *encoder) Append(dst []byte, tags []uint64) ([]byte, error) {
	for len(tags) > 0 {
		n := min(len(tags), chunk, e.most-e.rows)
		e.chunk = e.chunk[:0]
		for _, t := range tags[:n] {
			e.chunk = append(e.chunk, row{t})
		}
		if _, err := e.writer.Write(e.chunk); err != nil {
			return dst, fmt.Errorf("pack tags: %w", err)
		}
		tags = tags[n:]
		if e.rows += n; e.rows == e.most {
			if err := e.writer.Flush(); err != nil {
				return dst, fmt.Errorf("pack tags: %w", err)
			}
			e.rows = 0
		}
	}
	return e.fetch(dst), nil
}

// Lost writes into the metadata how many tags of the segment are known lost.
func (e *encoder) Lost(tags uint64) {
	e.writer.SetKeyValueMetadata("tsrun.lost", strconv.FormatUint(tags, 10))
}

// Finish writes what is held, and the footer.
func (e *encoder) Finish(dst []byte) ([]byte, error) {
	if err := e.writer.Close(); err != nil {
		return dst, fmt.Errorf("end the file: %w", err)
	}
	return e.fetch(dst), nil
}

// fetch moves what was written.
func (e *encoder) fetch(dst []byte) []byte {
	dst = append(dst, e.out.Bytes()...)
	e.out.Reset()
	return dst
}
