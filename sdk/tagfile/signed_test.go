package tagfile

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestBelowZero writes signed times, around zero and around the roll-over of 63
// bits, and reads them by every way: differences, order and what is shown are
// those of the times.
func TestBelowZero(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		start := rapid.SampledFrom([]int64{0, -5, -1_000_000, -Raise, 1 << 62, math.MaxInt64 - 5000}).Draw(rt, "start")
		var times []int64
		var content []byte
		rolled := false
		now := start
		for range rapid.IntRange(1, 30).Draw(rt, "n") {
			before := now
			now += int64(rapid.SampledFrom([]uint64{0, 1, 999, 1 << 20, 1 << 30}).Draw(rt, "step"))
			rolled = rolled || now < before
			times = append(times, now)
			content = append(content, swabianOf(0, 0, 1, now)...)
		}
		f := inMemory(content)
		ft, _ := find(Swabian)
		got, err := again(f, func() (got []uint64, err error) {
			e, err := f.eventsOf(ft, nil)
			for buf := make([]uint64, 7); err == nil; {
				var n int
				n, _, err = e.next(buf)
				got = append(got, buf[:n]...)
			}
			if err == io.EOF {
				err = nil
			}
			return got, err
		})
		if err != nil || len(got) != len(times) || (f.raise > 0) != (times[0] < 0 && times[0] >= -Raise) {
			rt.Fatal(got, err)
		}
		for i, at := range got {
			if at != uint64(times[i])+f.raise {
				rt.Fatalf("%d ps comes out as %d", times[i], at)
			}
		}
		f = inMemory(content)
		info, err := again(f, func() (Info, error) { return scan(f, ft) })
		text, jsonErr := json.Marshal(info)
		first := strconv.FormatInt(times[0], 10)
		if times[0] < -Raise {
			first = strconv.FormatUint(uint64(times[0]), 10)
		}
		if err != nil || jsonErr != nil || info.Violations > 0 || !strings.Contains(string(text), `"first_ps":`+first+`,`) {
			rt.Fatalf("%s, %v, %v", text, err, jsonErr)
		}
		if last := info.Moment(info.Channels[0].Last).String(); rolled && (last[0] == '-' || len(last) < 19) {
			rt.Fatalf("after the roll-over %s", last)
		}
	})
}

// TestRaisedTogether: a file without times below 0 is raised with one that has.
func TestRaisedTogether(t *testing.T) {
	below := write(t, "a.swabian", slices.Concat(swabianOf(0, 0, 1, -500), swabianOf(0, 0, 1, 100)))
	if begins, err := BeginsBelowZero(below, "", 1); err != nil || !begins {
		t.Fatal(begins, err)
	}
	for _, ft := range writtenFormats() {
		path := write(t, "x", encoded(t, ft.Name, 1, []uint64{125, 1000, 2000}))
		if begins, err := BeginsBelowZero(path, ft.Name, OnlyChannel); err != nil || begins {
			t.Error(ft.Name, begins, err)
		}
		r, _, err := OpenRaised(path, ft.Name, OnlyChannel, Raise)
		if err != nil {
			t.Fatal(ft.Name, err)
		}
		got, err := drain(r, 2)
		if err != nil || r.Close() != nil || !slices.Equal(got, []uint64{Raise + 125, Raise + 1000, Raise + 2000}) {
			t.Error(ft.Name, got, err)
		}
	}
	r, _, err := OpenRaised(below, "", 1, Raise)
	if err != nil {
		t.Fatal(err)
	}
	got, err := drain(r, 9)
	if err != nil || r.Close() != nil || !slices.Equal(got, []uint64{Raise - 500, Raise + 100}) {
		t.Error(got, err)
	}
	if _, err := ReadAll(below, "", 1); !IsBelowZero(err) {
		t.Error(err)
	}
	late := write(t, "late.bin", encoded(t, Bin, 1, []uint64{math.MaxUint64}))
	r, _, err = OpenRaised(late, "", OnlyChannel, Raise)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := drain(r, 9); err == nil || !strings.Contains(err.Error(), "too late to be raised") {
		t.Error(err)
	}
}

// TestShift: times come out shifted, both ways, and what does not fit is refused.
func TestShift(t *testing.T) {
	in := write(t, "x.txt", []byte("1;5\n1;700\n"))
	for _, tt := range []struct {
		out   string
		shift int64
		want  string // the file, or the error
	}{
		{"a.txt", 10, "1;15\n1;710\n"},
		{"b.txt", -5, "1;0\n1;695\n"},
		{"c.txt", -6, "-1 ps is before 0"},
		{"d.txt", math.MaxInt64, "1;9223372036854775812\n1;9223372036854776507\n"},
		{"e.txt", math.MinInt64, "beyond what times can be"},
		{"f.tags", -6, "-1 ps is before 0, where times of format tags do not go; raise all times with --shift"},
	} {
		out := filepath.Join(t.TempDir(), tt.out)
		r, err := Convert(t.Context(), in, out, ConvertOptions{Shift: tt.shift})
		got, _ := os.ReadFile(out)
		if err != nil && !strings.Contains(err.Error(), tt.want) || err == nil && (string(got) != tt.want || r.Added != tt.shift) {
			t.Errorf("%s: %q, %v, want %q", tt.out, got, err, tt.want)
		}
	}
}
