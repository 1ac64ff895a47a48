package main

import (
	"math/rand/v2"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/plugins/internal/segments"
	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

// TestLongThroughput says how many tags come into a hub on this PC, from the first
// block to the last acknowledgement, and how that is beside files alone. It
// bounds nothing: the machine may be busy.
func TestLongThroughput(t *testing.T) {
	n := need.LongTrials(t, 400, 40) // blocks
	var block [1 << 16]uint64
	random, at := rand.New(rand.NewPCG(1, 2)), uint64(0)
	for i := range block {
		at += 1 + random.Uint64N(100_000) // 20 Mcps
		block[i] = at
	}
	length := at + 1
	record := func(s sdk.Sink, dir string) time.Duration {
		began := time.Now()
		err := s.Begin(t.Context(), sdk.Recording{Run: tag.RunID{byte(began.Nanosecond()), byte(began.Nanosecond() >> 8)}, Dir: dir, Segment: time.Second / 10,
			Streams: []sdk.RecordedStream{{Stream: 1, Name: "signal"}}, Closed: func(sdk.Artifact) {}, Kept: func(uint16, uint64) {}})
		tags := make([]uint64, len(block))
		for k := 0; err == nil && k < n; k++ {
			for i, t := range block {
				tags[i] = t + uint64(k)*length
			}
			err = s.Write(t.Context(), &tag.Block{Kind: tag.Data, Stream: 1, Seq: uint64(k), Tags: tags, Until: uint64(k+1) * length})
		}
		if err == nil {
			err = s.Write(t.Context(), &tag.Block{Kind: tag.End, Stream: 1, Seq: uint64(n), Until: uint64(n) * length})
		}
		if err == nil {
			err = s.Finish(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return took
	}
	files := func() sdk.Sink {
		return segments.New(segments.Options{Encoder: func(_ sdk.Recording, s sdk.RecordedStream, _ int) (segments.Encoder, error) {
			return tagfile.NewEncoder(tagfile.Bin, int(s.Stream))
		}})
	}
	total := float64(n*len(block)) / 1e6
	for _, sync := range []string{"2m", "always"} {
		_, url := hubProcess(t, t.TempDir(), sync, 0)
		alone := record(files(), t.TempDir())
		s, err := open(t.Context(), sdk.Env{Instance: "alice.live"}, testConfig(url))
		if err != nil {
			t.Fatal(err)
		}
		with := record(s, t.TempDir())
		t.Logf("sync %s: %.1f million tags/s into the hub, %.1f into files alone: %.2f of it", sync, total/with.Seconds(), total/alone.Seconds(), alone.Seconds()/with.Seconds())
	}
}
