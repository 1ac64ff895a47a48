package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tsrun/sdk"
	"tsrun/sdk/tag"
)

// endlessDir tells a process of this test to record until it is killed.
const endlessDir = "TSRUN_SINK_PARQUET_ENDLESS_DIR"

// perSegment is how many tags an endless recording has in each segment of 1 ms.
const perSegment = 5000

// convertsAs tells a process of this test to be the program that converts.
const convertsAs = "TSRUN_SINK_PARQUET_CONVERTS"

func TestMain(m *testing.M) {
	if os.Getenv(convertsAs) != "" {
		main()
	}
	if dir := os.Getenv(endlessDir); dir != "" {
		fmt.Println("failed:", recordEndlessly(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func recordEndlessly(dir string) error {
	ctx := context.Background()
	s, err := open(ctx, sdk.Env{Instance: "alice.raw"}, config{Compression: "none", RowGroup: leastRows})
	if err == nil {
		err = s.Begin(ctx, sdk.Recording{Dir: dir, Segment: 1e6, Streams: []sdk.RecordedStream{{Name: "signal"}},
			Closed: func(a sdk.Artifact) { fmt.Println(a.Path) }, Kept: func(uint16, uint64) {}})
	}
	tags := make([]uint64, perSegment)
	for n := uint64(0); err == nil; n++ {
		for i := range tags {
			tags[i] = n*1e9 + uint64(i)*1e9/perSegment
		}
		err = s.Write(ctx, &tag.Block{Kind: tag.Data, Seq: n, Tags: tags, Until: (n+1)*1e9 - 1})
	}
	return err
}

// TestKilled: of a process that is killed while it writes, each file that has its
// name is whole, and has what belongs into it.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), endlessDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	told := bufio.NewScanner(out)
	for range 5 {
		if !told.Scan() {
			t.Fatal("it ended before it was killed")
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for told.Scan() {
	}
	_ = cmd.Wait() // it was killed
	files, err := filepath.Glob(filepath.Join(dir, "signal-*.parquet"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for n, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		tags, _ := readByArrow(t, text)
		if len(tags) != perSegment || tags[0] != uint64(n)*1e9 || tags[perSegment-1]/1e9 != uint64(n) {
			t.Errorf("%s: %d tags", path, len(tags))
		}
	}
}
