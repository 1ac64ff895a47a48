package tagfile

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/sdk/tag"
)

// A file of PTU says where its tags are from, in the comment that every reader of such files
// shows; what is too long is cut, and a file of which nothing is known has none.
func TestPTUSaysWhereItsTagsAreFrom(t *testing.T) {
	for _, c := range []struct {
		name  string
		about Provenance
		want  string
	}{
		{"nothing", Provenance{}, ""},
		{"a run", Provenance{Run: "0123", Channel: "alice.signal", Device: "ID1000", Simulated: true}, "SIMULATED: computed and not measured; run 0123; channel alice.signal; device ID1000"},
		{"too long", Provenance{Run: strings.Repeat("x", 5000)}, "run " + strings.Repeat("x", ptuMostAbout-4)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			r, err := ConvertTags(context.Background(), tag.NewReader([]uint64{5, 70, 1 << 40}), "alice.signal", "standard output",
				ConvertOptions{To: PTU, Output: &out, About: c.about})
			if err != nil || r.Written.Tags() != 3 {
				t.Fatalf("%+v, %v", r, err)
			}
			if has := bytes.Contains(out.Bytes(), []byte("File_Comment")); has != (c.want != "") || !bytes.Contains(out.Bytes(), []byte(c.want)) ||
				c.want != "" && bytes.Contains(out.Bytes(), []byte(c.want+"x")) {
				t.Errorf("the comment is there: %v, of %d bytes", has, out.Len())
			}
			path := filepath.Join(t.TempDir(), "x.ptu")
			if _, err := ConvertTags(context.Background(), tag.NewReader([]uint64{5, 70, 1 << 40}), "alice.signal", path, ConvertOptions{About: c.about}); err != nil {
				t.Fatal(err)
			}
			tags, err := ReadAll(path, "", OnlyChannel)
			if err != nil || len(tags) != 3 || tags[0] != 5 || tags[2] != 1<<40 {
				t.Errorf("read back: %v, %v", tags, err)
			}
		})
	}
}
