package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/pipeline/fact"
	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
)

// TestKindOfArtifact: a plugin that does not say what a file holds is judged by
// the file's name, and what is of tags only is believed of tags only.
func TestKindOfArtifact(t *testing.T) {
	const unsaid, table = pluginpb.ArtifactKind_ARTIFACT_KIND_UNSAID, pluginpb.ArtifactKind_ARTIFACT_KIND_TABLE
	for _, c := range []struct {
		path string
		kind pluginpb.ArtifactKind
		want sdk.ArtifactKind
	}{
		{"a-000000.bin", unsaid, sdk.Tags}, {"a.csv", unsaid, sdk.Tags}, {"a.tags", unsaid, sdk.Tags}, {"x/a.txt", unsaid, sdk.Tags},
		{"a.png", unsaid, sdk.Other}, {"a.ptu", unsaid, sdk.Other}, {"csv", unsaid, sdk.Other}, {"", unsaid, sdk.Other},
		{"a.bin", table, sdk.Table}, {"a.dat", pluginpb.ArtifactKind_ARTIFACT_KIND_TAGS, sdk.Tags}, {"a.bin", 77, sdk.Other}, {"a.bin", -1, sdk.Other},
	} {
		a := artifactIn(&pluginpb.Artifact{Path: c.path, Kind: c.kind, Stream: 3, Segment: 4, Tags: 5, FirstPs: 6, LastPs: 7, Lost: 8})
		if a.Kind != c.want {
			t.Errorf("%q of kind %v is %q, want %q", c.path, c.kind, a.Kind, c.want)
		}
		if of := a.Kind == sdk.Tags; of != (a.Tags == 5) || of != (a.Stream == 3) {
			t.Errorf("%q of kind %v: %+v", c.path, c.kind, a)
		}
	}
}

// TestBadArtifacts: no file is sent under a name that would lead elsewhere, hide
// it or break the list of checksums.
func TestBadArtifacts(t *testing.T) {
	sink := func() *Sink {
		return &Sink{process: &process{instance: "alice.raw"}, paths: map[string]bool{}, streams: []sdk.RecordedStream{{Stream: 0}, {Stream: 65535}}}
	}
	for _, path := range []string{"", ".", "..", "/a", "a/../b", "../a", "a//b", "a/", ".a", "x/.a", "a.part", "a.tmp", "a\nb", "a\\b", "a\x00", strings.Repeat("a", 513)} {
		if err := sink().checkArtifact(Closed{Segment: fact.Segment{Kind: sdk.Table, File: path}}); err == nil || !strings.Contains(err.Error(), "alice.raw") {
			t.Errorf("%q was taken: %v", path, err)
		}
	}
	for _, a := range []Closed{
		{Segment: fact.Segment{Kind: sdk.Table, File: "a", Size: -1}}, {Segment: fact.Segment{Kind: sdk.Tags, File: "a.dat"}},
		{Segment: fact.Segment{Kind: sdk.Tags, File: "a.bin"}, Stream: 1}, {Segment: fact.Segment{Kind: sdk.Tags, File: "a.bin"}, Stream: 1 << 16},
	} {
		if err := sink().checkArtifact(a); err == nil {
			t.Errorf("%+v was taken", a)
		}
	}
	k := sink()
	for _, a := range []Closed{
		{Segment: fact.Segment{Kind: sdk.Other, File: "x/y/a b é.bin"}, Stream: 9}, {Segment: fact.Segment{Kind: sdk.Tags, File: "a.bin"}, Stream: 65535},
		{Segment: fact.Segment{Kind: sdk.Table, File: strings.Repeat("a", 512)}},
	} {
		if err := k.checkArtifact(a); err != nil {
			t.Error(err)
		}
		if k.checkArtifact(a) == nil {
			t.Errorf("%q was taken twice", a.File)
		}
	}
	for stream, good := range map[uint32]bool{0: true, 65535: true, 1: false, 65536: false, 1<<32 - 1: false} {
		if _, err := k.keptIn(&pluginpb.Kept{Stream: stream, Tags: 1<<64 - 1}); (err == nil) != good {
			t.Errorf("kept of stream %d: %v", stream, err)
		}
	}
}

// TestArtifactsAreFiles: a link or a pipe in the place of a file is not sent.
func TestArtifactsAreFiles(t *testing.T) {
	dir := t.TempDir()
	k := &Sink{process: &process{instance: "alice.raw"}, paths: map[string]bool{}, dir: dir}
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "file.csv"), nil, 0o600), os.Symlink("/etc/passwd", filepath.Join(dir, "link.csv")),
		os.Symlink("/etc", filepath.Join(dir, "etc")), os.Mkdir(filepath.Join(dir, "dir.csv"), 0o700),
		exec.Command("mkfifo", filepath.Join(dir, "pipe.csv")).Run(),
	} {
		if err != nil {
			t.Skip(err)
		}
	}
	for name, taken := range map[string]bool{"file.csv": true, "later.csv": true, "link.csv": false, "etc/passwd": false, "dir.csv": false, "pipe.csv": false} {
		if err := k.checkArtifact(Closed{Segment: fact.Segment{Kind: sdk.Table, File: name}}); (err == nil) != taken {
			t.Errorf("%s: taken is %v, want %v: %v", name, err == nil, taken, err)
		}
	}
}
