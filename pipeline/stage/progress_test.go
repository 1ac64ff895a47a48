package stage

import (
	"io"
	"testing"

	"tsrun/pipeline/event"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

type closing struct{ tag.Reader }

func (closing) Close() error { return nil }

var _ tagfile.ReadCloser = closing{}

// The streams of a stage count what is read, and an observer is told until stop.
func TestStageProgress(t *testing.T) {
	p := new(stageProgress)
	p.of.Add(3)
	s := &channelStream{ctx: t.Context(), name: "a.b", progress: p, ReadCloser: closing{tag.NewReader([]uint64{1, 2, 3})}}
	for {
		if _, err := s.Next(make([]uint64, 2)); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if p.done.Load() != 3 {
		t.Errorf("%d tags were counted", p.done.Load())
	}
	hub := event.NewHub()
	feed := hub.Subscribe()
	stop := p.watch("g2", "histogram", hub)
	events, ok := feed.Next(t.Context())
	stop()
	if e, is := events[0].Event.(event.Analysing); !ok || !is || e.Stage != "g2" || e.Kind != "histogram" || e.Done != 3 || e.Of != 3 || e.Elapsed <= 0 {
		t.Errorf("%+v", events)
	}
}
