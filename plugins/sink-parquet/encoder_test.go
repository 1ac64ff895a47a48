package main

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"

	"tsrun/sdk"
	"tsrun/sdk/tag"
)

// encoded is a file of tags, handed over in pieces.
func encoded(t testing.TB, c config, piece int, tags []uint64) []byte {
	t.Helper()
	e := newEncoder(c, about("alice", sdk.Recording{Run: tag.RunID{1}, Recipe: strings.Repeat("ab", 32), Segment: 1e9},
		sdk.RecordedStream{Name: "signal", Device: "ID Quantique,ID1000", Simulated: true}, 7))
	var all, err = e.Heading(), error(nil)
	for part := range slices.Chunk(tags, piece) {
		if all, err = e.Append(all, part); err != nil {
			t.Fatal(err)
		}
	}
	if all, err = e.Finish(all); err != nil {
		t.Fatal(err)
	}
	return all
}

// readByArrow is what another implementation finds in a file, and how it is packed.
func readByArrow(t testing.TB, text []byte) (tags []uint64, r *file.Reader) {
	t.Helper()
	r, err := file.NewParquetReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for g := range r.NumRowGroups() {
		column, err := r.RowGroup(g).Column(0)
		if err != nil {
			t.Fatal(err)
		}
		values := make([]int64, 1<<12)
		for column.HasNext() {
			_, n, err := column.(*file.Int64ColumnChunkReader).ReadBatch(int64(len(values)), values, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range values[:n] {
				tags = append(tags, uint64(v))
			}
		}
	}
	return tags, r
}

// poisson are tags of a source of so many counts per second.
func poisson(n int, rate float64, first uint64) []uint64 {
	random := rand.New(rand.NewPCG(1, uint64(n)))
	tags := make([]uint64, n)
	at := 0.0
	for i := range tags {
		at += random.ExpFloat64() * 1e12 / rate
		tags[i] = first + uint64(at)
	}
	return tags
}

func TestEqualByAnotherReader(t *testing.T) {
	small := config{Compression: "none", RowGroup: leastRows}
	for name, tt := range map[string]struct {
		config config
		piece  int
		tags   []uint64
	}{
		"none":      {defaults(), 1, nil},
		"one":       {defaults(), 1, []uint64{0}},
		"extremes":  {defaults(), 2, []uint64{0, 0, 1<<63 - 1, 1 << 63, math.MaxUint64, math.MaxUint64}},
		"groups":    {small, 1000, poisson(3*leastRows, 1e5, 1<<62)},
		"and a tag": {small, leastRows, poisson(2*leastRows+1, 1e7, 1<<53)},
		"snappy":    {config{Compression: "snappy", RowGroup: leastRows}, 77, poisson(3000, 1e5, 1<<63)},
		"zstd":      {config{Compression: "zstd", RowGroup: mostRows}, 5000, poisson(20_000, 1e5, 5)},
	} {
		t.Run(name, func(t *testing.T) {
			got, r := readByArrow(t, encoded(t, tt.config, tt.piece, tt.tags))
			if !slices.Equal(got, tt.tags) {
				t.Fatalf("%d tags come back as %d others", len(tt.tags), len(got))
			}
			column := r.MetaData().Schema.Column(0)
			if column.Name() != "ps" || column.PhysicalType() != parquet.Types.Int64 {
				t.Errorf("the column is %s", column)
			}
			for g := range r.NumRowGroups() {
				chunk, err := r.MetaData().RowGroup(g).ColumnChunk(0)
				if err != nil || !slices.Contains(chunk.Encodings(), parquet.Encodings.DeltaBinaryPacked) {
					t.Errorf("row group %d: %v, %v", g, chunk.Encodings(), err)
				}
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	_, r := readByArrow(t, encoded(t, defaults(), 1, []uint64{1}))
	for key, want := range map[string]string{
		"tsrun.run": tag.RunID{1}.String(), "tsrun.recipe_sha256": strings.Repeat("ab", 32), "tsrun.channel": "alice.signal",
		"tsrun.device": "ID Quantique,ID1000", "tsrun.simulated": "true", "SIMULATED": "computed and not measured", "tsrun.segment": "7",
	} {
		if got := r.MetaData().KeyValueMetadata().FindValue(key); got == nil || *got != want {
			t.Errorf("%s is %v, want %s", key, got, want)
		}
	}
	for _, p := range about("", sdk.Recording{}, sdk.RecordedStream{Name: "x"}, 0) {
		if p.key == "SIMULATED" || p.key == "tsrun.device" || p.key == "tsrun.simulated" && p.value != "false" {
			t.Errorf("of a real device of which nothing is known: %v", p)
		}
	}
}

// TestBytesATag: a source of 100 kcps takes at most 3.5 bytes a tag.
func TestBytesATag(t *testing.T) {
	tags := poisson(1_000_000, 1e5, 0)
	text := encoded(t, defaults(), 1<<16, tags)
	got, _ := readByArrow(t, text)
	if each := float64(len(text)) / float64(len(tags)); each > 3.5 || !slices.Equal(got, tags) {
		t.Errorf("%.3f bytes a tag", each)
	} else {
		t.Logf("%.3f bytes a tag", each)
	}
}

// TestHeldIsBounded: no more than a row group waits to be written.
func TestHeldIsBounded(t *testing.T) {
	e := newEncoder(config{Compression: "none", RowGroup: leastRows}, nil)
	tags := poisson(100*leastRows, 1e5, 0)
	written := 0
	for part := range slices.Chunk(tags, leastRows) {
		piece, err := e.Append(nil, part)
		if err != nil {
			t.Fatal(err)
		}
		if len(piece) == 0 {
			t.Fatalf("nothing of a row group was written behind byte %d", written)
		}
		written += len(piece)
	}
	if end, err := e.Finish(nil); err != nil || len(end) > written/4 {
		t.Errorf("%d bytes at the end, %d before, %v", len(end), written, err)
	}
}

func TestRefusesConfigs(t *testing.T) {
	for _, c := range []config{{}, {Compression: "lzma", RowGroup: 5000}, {Compression: "none"}, {Compression: "none", RowGroup: mostRows + 1},
		{Compression: "none", RowGroup: -1}, {Compression: strings.Repeat("x", 1<<20), RowGroup: 5000}} {
		if _, err := open(t.Context(), sdk.Env{}, c); err == nil || len(err.Error()) > 500 {
			t.Errorf("%.40v: %v", c, err)
		}
	}
}

// TestUnfinishedIsHidden: the file is written as the others are, under a name that hides it.
func TestUnfinishedIsHidden(t *testing.T) {
	dir := t.TempDir()
	s, err := open(t.Context(), sdk.Env{Instance: "alice.raw"}, defaults())
	if err != nil {
		t.Fatal(err)
	}
	var files []sdk.Artifact
	kept := uint64(0)
	err = s.Begin(t.Context(), sdk.Recording{Dir: dir, Segment: 1e9, Streams: []sdk.RecordedStream{{Stream: 3, Name: "signal"}},
		Closed: func(a sdk.Artifact) { files = append(files, a) }, Kept: func(_ uint16, n uint64) { kept = n }})
	if err == nil {
		err = s.Write(t.Context(), &tag.Block{Kind: tag.Data, Stream: 3, Tags: []uint64{1, 2e12}, Until: 2e12})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // as when it is killed: the last is given up
		t.Fatal(err)
	}
	if len(files) != 2 || kept != 1 || files[0].Kind != sdk.Other || files[0].Tags != 0 || files[0].Path != "signal-000000.parquet" {
		t.Errorf("%+v, %d tags kept", files, kept)
	}
	text, err := os.ReadFile(filepath.Join(dir, "signal-000000.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	if tags, _ := readByArrow(t, text); !slices.Equal(tags, []uint64{1}) {
		t.Errorf("%v", tags)
	}
	if _, err := os.Stat(filepath.Join(dir, ".signal-000002.parquet.part")); err != nil {
		t.Error(err)
	}
}
