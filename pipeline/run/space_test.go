package run_test

import (
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// TestFilling: the pace is that of the last ten seconds, and a file that is given
// its room at once is no flood.
func TestFilling(t *testing.T) {
	const below = 100
	var f run.Filling
	start := time.Unix(1000, 0)
	var d fact.Disk
	for ms := 0; ms <= 60_000; ms += 200 {
		free := 1_000_000 - ms // 1000 bytes a second
		if ms < 1000 && d.Pace != 0 {
			t.Errorf("a pace of %d after %d ms", d.Pace, ms)
		}
		d = f.Note(quantity.Size(free), start.Add(time.Duration(ms)*time.Millisecond))
	}
	if d.Pace != 1000 || d.Free != 940_000 {
		t.Errorf("%+v, want 1000 bytes a second", d)
	}
	if left, ok := d.Left(below, 900); !ok || left != 939*time.Second {
		t.Errorf("%v left, %v; want 939 s", left, ok)
	}
	if d = f.Note(840_000, start.Add(60_200*time.Millisecond)); d.Pace > 11_000 {
		t.Errorf("a file of 100 000 bytes makes a pace of %d a second", d.Pace)
	}
	if d = f.Note(1_000_000, start.Add(60_400*time.Millisecond)); d.Pace > 0 {
		t.Errorf("a disk that became emptier fills at %d", d.Pace)
	}
	if _, ok := d.Left(below, 0); ok || d.Low(below, 0, time.Second) {
		t.Error("and it will be full")
	}
}

func TestDiskLow(t *testing.T) {
	for _, c := range []struct {
		disk        fact.Disk
		below, owed int64
		low         bool
	}{
		{fact.Disk{Free: 100}, 100, 0, false},
		{fact.Disk{Free: 99}, 100, 0, true},
		{fact.Disk{Free: 150, Pace: 49}, 100, 0, false},
		{fact.Disk{Free: 150, Pace: 51}, 100, 0, true},
		{fact.Disk{Free: 150, Pace: -1 << 62}, 100, 50, false},
		{fact.Disk{Free: 150}, 100, 51, true},
		{fact.Disk{Free: 150}, 100, -5, false}, // a node told nonsense
		{fact.Disk{Free: 1 << 62, Pace: 1 << 40}, 1 << 40, 1 << 50, false},
		{fact.Disk{}, 0, 0, false}, // disk_below: 0
	} {
		if low := c.disk.Low(c.below, c.owed, time.Second); low != c.low {
			t.Errorf("%+v below %d owed %d: low is %v", c.disk, c.below, c.owed, low)
		}
	}
	if left, ok := (fact.Disk{Free: 1 << 62, Pace: 1}).Left(0, 0); !ok || left < 24*365*time.Hour {
		t.Errorf("%v, %v", left, ok)
	}
	f := run.DiskLow("its disk", "/data", fact.Disk{Free: 5 << 20}, 10<<20, 1<<20)
	if f.Field != "faults.disk_below" || f.Hint == "" || !strings.HasPrefix(f.Message, "its disk (/data) has 5.0 MiB left, and faults.disk_below is 10.0 MiB, with 1.0 MiB of files still to come") {
		t.Errorf("%v", f)
	}
}

func TestCheckPath(t *testing.T) {
	for _, path := range []string{"runs", "/a/b c", "/größe/測定", "a\nb"} {
		if err := run.CheckPath(path); err != nil {
			t.Errorf("%q: %v", path, err)
		}
	}
	for _, path := range []string{"runs\xff", "/\xc3/runs", "a/\xed\xa0\x80"} {
		if err := run.CheckPath(path); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("%q: %v", path, err)
		}
	}
}
