package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/parquet/file"

	"tsrun/sdk/tagfile"
)

// converted is what the program makes of a file of tags with these lines.
func converted(t *testing.T, lines string, channels []int, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, tags := filepath.Join(dir, "x.txt"), filepath.Join(dir, "x.tags")
	if err := os.WriteFile(in, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := tagfile.Convert(t.Context(), in, tags, tagfile.ConvertOptions{Channels: channels}); err != nil {
		t.Fatal(err)
	}
	stdin, err := os.Open(tags)
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), convertsAs+"=1")
	cmd.Stdin = stdin
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// channelsByArrow is the first column of a file of two.
func channelsByArrow(t *testing.T, r *file.Reader) (channels []int32) {
	t.Helper()
	column, err := r.RowGroup(0).Column(0)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]int32, 100)
	for column.HasNext() {
		_, n, err := column.(*file.Int32ColumnChunkReader).ReadBatch(int64(len(values)), values, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		channels = append(channels, values[:n]...)
	}
	return channels
}

func TestConvert(t *testing.T) {
	said := `{"run":"0123","recipe_sha256":"abab","channel":"alice.signal","device":"ID1000","SIMULATED":true}`
	one, r := readByArrow(t, converted(t, "2;5\n2;18446744073709551615\n", nil, "convert", "--one", "--about", said))
	if !slices.Equal(one, []uint64{5, 1<<64 - 1}) || r.MetaData().Schema.NumColumns() != 1 {
		t.Errorf("one channel: %v", one)
	}
	for key, want := range map[string]string{"tsrun.run": "0123", "tsrun.recipe_sha256": "abab", "tsrun.channel": "alice.signal", "tsrun.device": "ID1000",
		"tsrun.simulated": "true", "SIMULATED": "computed and not measured"} {
		if got := r.MetaData().KeyValueMetadata().FindValue(key); got == nil || *got != want {
			t.Errorf("%s is %v, want %s", key, got, want)
		}
	}
	text := converted(t, "1;5\n2;6\n1;70\n", nil, "convert")
	r, err := file.NewParquetReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if got := channelsByArrow(t, r); !slices.Equal(got, []int32{1, 1, 2}) {
		t.Errorf("channels %v", got)
	}
	if got := r.MetaData().KeyValueMetadata().FindValue("tsrun.simulated"); got != nil {
		t.Error("of files of which nothing is known it says whether they are simulated")
	}
	if none, _ := readByArrow(t, converted(t, "", nil, "convert", "--one")); len(none) != 0 {
		t.Errorf("of no tags: %v", none)
	}
}

// TestConvertRefuses: what is no file of tags, or other words, is an error.
func TestConvertRefuses(t *testing.T) {
	for _, args := range [][]string{{"--about", "{"}, {"--such"}, {"x"}, {}} {
		cmd := exec.Command(os.Args[0], append([]string{"convert"}, args...)...)
		cmd.Env = append(os.Environ(), convertsAs+"=1")
		cmd.Stdin = strings.NewReader("no file of tags")
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Run(); err == nil || said.Len() == 0 {
			t.Errorf("%v: %v, %q", args, err, said.String())
		}
	}
}

// TestLostIsSaid: the metadata has how many tags of the segment were lost.
func TestLostIsSaid(t *testing.T) {
	e := newEncoder(defaults(), nil)
	text, err := e.Append(nil, []uint64{1})
	e.Lost(7)
	if err == nil {
		text, err = e.Finish(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, r := readByArrow(t, text)
	if got := r.MetaData().KeyValueMetadata().FindValue("tsrun.lost"); got == nil || *got != "7" {
		t.Errorf("lost: %v", got)
	}
}
