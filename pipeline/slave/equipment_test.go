package slave

import (
	"log/slog"
	"testing"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/host"
)

// TestFilesBeforeTheStartAreNotSent: a sink whose driver died before the start closes a
// file of nothing, which the run that is called off must not get.
func TestFilesBeforeTheStartAreNotSent(t *testing.T) {
	r := newReporter("bob", "", nil, newInbox())
	eq := &equipment{s: &session{reporter: r, dir: t.TempDir()}, log: slog.New(slog.DiscardHandler)}
	eq.sendFile(&sink{}, host.Closed{Segment: fact.Segment{File: "b-000000.bin"}})
	if len(r.news) > 0 || len(eq.s.files) > 0 {
		t.Errorf("told %+v, queued %v", r.news, eq.s.files)
	}
}
