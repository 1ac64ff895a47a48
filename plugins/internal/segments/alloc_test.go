//go:build !race

package segments

import (
	"testing"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

// The race detector allocates; without it, nothing does: within a segment a block is
// encoded in memory that is there already.
func TestABlockAllocatesNothing(t *testing.T) {
	for _, format := range []string{tagfile.Bin, tagfile.Tags, tagfile.Txt} {
		t.Run(format, func(t *testing.T) {
			s := ofFormat(format)
			err := s.Begin(t.Context(), sdk.Recording{Dir: t.TempDir(), Segment: time.Hour,
				Streams: []sdk.RecordedStream{{Name: "a"}}, Closed: func(sdk.Artifact) {}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			block := tag.Block{Kind: tag.Data, Tags: make([]uint64, 4096)}
			write := func() {
				for i := range block.Tags {
					block.Tags[i] = block.Until + uint64(i)
				}
				block.Until += uint64(len(block.Tags))
				if err := s.Write(t.Context(), &block); err != nil {
					t.Fatal(err)
				}
			}
			write()
			if got := testing.AllocsPerRun(100, write); got > 0 {
				t.Errorf("%v allocations per block", got)
			}
		})
	}
}
