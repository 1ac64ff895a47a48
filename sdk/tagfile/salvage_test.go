package tagfile

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fourKB is a file of a format of about 4 kB, its events in file order, and how
// many of these are whole when it is cut at a byte, by the description of the
// format.
func fourKB(t *testing.T, ft Format) (content []byte, all []event, whole func(cut int) int) {
	t.Helper()
	if !ft.Writable() {
		return legacyFourKB(ft)
	}
	dir := t.TempDir()
	in, out := filepath.Join(dir, "x.tags"), filepath.Join(dir, "x")
	channels := map[int][]uint64{}
	for i := range 600 {
		c := 1 + i%3
		if ft.OneChannel {
			c = 1
		}
		e := event{uint64(1+i) * 1_000_000_000 / 125 * 125, c}
		channels[c], all = append(channels[c], e.t), append(all, e)
	}
	writeChannels(t, in, channels)
	if _, err := Convert(t.Context(), in, out, ConvertOptions{To: ft.Name}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if ft.Name != Tags {
		content = content[:min(len(content), 4096)]
	}
	records := func(header, size int) func(int) int { return func(cut int) int { return max(cut-header, 0) / size } }
	ended := func(cut int) int { return bytes.Count(content[:cut], []byte("\n")) }
	switch ft.Name {
	case Bin, A1, A1X:
		whole = records(0, 8)
	case Swabian, IDQ:
		whole = records(0, 16)
	case QuTAG:
		whole = records(40, 10)
	case QuTAG5:
		whole = records(40, 5)
	case NPY:
		if ft.OneChannel {
			t.Fatal("an array with channels")
		}
		whole = records(npyHeading, 12)
	case NPZ: // what it holds is only told at its end
		whole = func(int) int { return 0 }
	case Txt, IDQText:
		whole = ended
	case Csv:
		whole = func(cut int) int { return max(ended(cut)-1, 0) }
	case A2: // the number of digits is known, so that a line needs no end
		whole = func(cut int) int { return (cut + 1) / 17 }
	case A0:
		whole = func(cut int) int { return (cut + 1) / 18 }
	case PTU:
		header := bytes.Index(content, []byte(ptuEnd)) + ptuTag
		tags := []int{}
		for at := header; at+4 <= len(content); at += 4 {
			n := 0
			if binary.LittleEndian.Uint32(content[at:])>>25 != 1<<6|63 {
				n = 1
			}
			tags = append(tags, n)
		}
		whole = func(cut int) (n int) {
			for _, one := range tags[:max(cut-header, 0)/4] {
				n += one
			}
			return n
		}
	}
	return content, all, whole
}

// legacyFourKB is one of a format that is only read, in its mode T2.
func legacyFourKB(ft Format) (content []byte, all []event, whole func(cut int) int) {
	kind := map[string]string{PicoHarp: "pt2", HydraHarp: "ht2", SPC: "spc"}[ft.Name]
	tick := map[string]uint64{PicoHarp: 4, HydraHarp: 1, SPC: 12_500}[ft.Name]
	shift := map[string]int{PicoHarp: 28, HydraHarp: 25, SPC: 12}[ft.Name]
	l := legacyFiles()[kind]
	for i := range 840 {
		channel := 1 + i%3
		all = append(all, event{uint64(4*i) * tick, channel})
		if ft.Name == HydraHarp {
			channel--
		}
		l.records = append(l.records, uint32(channel<<shift|4*i))
	}
	l.count = int64(len(l.records))
	content = l.bytes()
	header := len(content) - 4*len(l.records)
	return content, all, func(cut int) int { return max(cut-header, 0) / 4 }
}

// salvaged are the tags that salvaging yields.
func salvaged(t *testing.T, ft Format, content []byte) (got []event, info Info) {
	t.Helper()
	f := inMemory(content)
	f.salvaging = true
	e, err := f.eventsOf(ft, nil)
	if err != nil {
		t.Fatalf("%s of %d bytes: %v", ft.Name, len(content), err)
	}
	buf := make([]uint64, 7)
	for {
		n, channel, err := e.next(buf)
		if err == io.EOF {
			return got, e.info()
		}
		if err != nil {
			t.Fatalf("%s of %d bytes: %v", ft.Name, len(content), err)
		}
		for _, next := range buf[:n] {
			got = append(got, event{next, channel})
		}
	}
}

// TestSalvageEveryCut cuts a file of each format at every byte: all whole
// records come back, and what is said of them is true.
func TestSalvageEveryCut(t *testing.T) {
	for _, ft := range Table() {
		if ft.Name == Tags {
			continue // TestSalvageTags
		}
		t.Run(ft.Name, func(t *testing.T) {
			t.Parallel()
			content, all, whole := fourKB(t, ft)
			for cut := range len(content) + 1 {
				got, info := salvaged(t, ft, content[:cut])
				if want := all[:whole(cut)]; !slices.Equal(got, want) {
					t.Fatalf("cut at byte %d: %d tags, want %d", cut, len(got), len(want))
				}
				d := info.Damage
				if d == nil {
					continue
				}
				if d.Places != 1 || d.From != d.Bytes || d.Bytes > int64(cut) || d.First == "" {
					t.Fatalf("cut at byte %d: %+v", cut, *d)
				}
				scanned, err := scan(inMemory(content[:cut]), ft)
				// a line that may be whole, or a header that says more
				remarked := err == nil && slices.ContainsFunc(scanned.Facts, func(f Fact) bool { return f.Kind == Remarks })
				if !remarked && (err == nil || scanned.Damage == nil || scanned.Tags() > uint64(len(all))) {
					t.Fatalf("cut at byte %d: %+v, %v", cut, scanned, err)
				}
			}
		})
	}
}

// TestSalvageTags does it for blocks: those that are whole come back, before a
// damaged one and behind it.
func TestSalvageTags(t *testing.T) {
	ft, _ := find(Tags)
	e, err := newTagsEncoder(encoding{})
	if err != nil {
		t.Fatal(err)
	}
	content := e.heading()
	var ends []int
	var want [][]event
	for block := range 12 {
		var tags []uint64
		var events []event
		for i := range 100 {
			at := uint64(block*100+i) * 1_234_567
			tags, events = append(tags, at), append(events, event{at, block % 2})
		}
		if content, err = e.append(content, block%2, tags); err == nil {
			content, err = e.(*tagsEncoder).flush(content)
		}
		if err != nil {
			t.Fatal(err)
		}
		ends, want = append(ends, len(content)), append(want, events)
	}
	if content, err = e.finish(content); err != nil {
		t.Fatal(err)
	}
	for cut := range len(content) {
		n := 0
		for n < len(ends) && ends[n] <= cut {
			n++
		}
		if got, info := salvaged(t, ft, content[:cut]); !slices.Equal(got, slices.Concat(want[:n]...)) || info.Damage == nil || info.Damage.Records != uint64(n) {
			t.Fatalf("cut at byte %d: %d tags, %d blocks: %+v", cut, len(got), n, info.Damage)
		}
	}
	for at := tagsHeader; at < ends[11]; at += 29 { // a flipped byte, with the index and without
		nth := slices.IndexFunc(ends, func(end int) bool { return at < end })
		left := slices.Concat(slices.Concat(want[:nth]...), slices.Concat(want[nth+1:]...))
		for _, size := range []int{len(content), ends[11]} {
			b := bytes.Clone(content[:size])
			b[at] ^= 0x55
			got, info := salvaged(t, ft, b)
			if !slices.Equal(got, left) || info.Damage == nil || info.Damage.Records != 11 || info.Damage.From != int64(append([]int{tagsHeader}, ends...)[nth]) {
				t.Fatalf("byte %d of %d: %d tags, %+v", at, size, len(got), info.Damage)
			}
			scanned, err := scan(inMemory(b), ft)
			if err == nil || scanned.Tags() != 1100 || scanned.Damage.Records != 11 {
				t.Fatalf("byte %d of %d: %+v, %v", at, size, scanned, err)
			}
		}
	}
	b := bytes.Clone(content)
	b[9] ^= 1 // of the header
	if got, _ := salvaged(t, ft, b); len(got) != 1200 {
		t.Errorf("%d tags behind a damaged header", len(got))
	}
}

// TestSalvageBehind: formats whose records are found again go on behind damage.
func TestSalvageBehind(t *testing.T) {
	for format, content := range map[string]string{
		Txt:     "1;5\n1;\n;6\n1;6" + strings.Repeat("0", 100) + "\n\n1;7\n",
		Csv:     "channel,ps\n1,5\nx\n1 6\n1;6\n-1,6\n1,7\n",
		A2:      "0000000000001401\nxxxxxxxxxxxxxxxx\n0\n\n00000000000014010\n0000000000001c01\n",
		A0:      "00001401\n00000000\n00001401\nx\n\n\n00001c01\n00000000\n",
		Swabian: string(slices.Concat(swabianOf(0, 0, 1, 5), swabianOf(9, 0, 1, 6), swabianOf(77, 0, 1, 6), swabianOf(255, 0, 1, 6), swabianOf(5, 0, 1, 6), swabianOf(0, 0, 1, 7))),
	} {
		ft, _ := find(format)
		got, info := salvaged(t, ft, []byte(content))
		d := info.Damage
		if len(got) != 2 || got[0].channel != 1 || got[0].t >= got[1].t || d == nil || d.Records != 2 || d.Places < 2 {
			t.Errorf("%s: %v, %+v", format, got, d)
		}
	}
}

// TestDamageNamesSalvage: whoever meets damage is told what to do.
func TestDamageNamesSalvage(t *testing.T) {
	path := write(t, "x.bin", []byte("12345678123"))
	_, err := ReadAll(path, "", OnlyChannel)
	var d *damageError
	if !errors.As(fmt.Errorf("wrapped: %w", err), &d) || d.at != 8 || !strings.HasSuffix(err.Error(), "; tsrun convert --salvage writes what is whole") {
		t.Error(err)
	}
}

// TestNothingIsDamagedOnce: a file that ends before its header does is damaged
// in one place, and of a time that is not known JSON has no number.
func TestNothingIsDamagedOnce(t *testing.T) {
	for _, content := range []string{"", tagsMagic[:3], tagsMagic} {
		info, err := Scan(write(t, "x.tags", []byte(content)), "")
		if err == nil || info.Damage == nil || info.Damage.Places != 1 || info.Damage.Records != 0 {
			t.Errorf("%q: %+v, %v", content, info.Damage, err)
		}
	}
	for _, c := range []struct {
		format string
		times  []uint64
		want   string
	}{
		{Bin, nil, `"longest_pause_ps":null,"pause_from_ps":null`},
		{Bin, []uint64{5}, `"longest_pause_ps":null,"pause_from_ps":null`},
		{Bin, []uint64{5, 5}, `"longest_pause_ps":null,"pause_from_ps":null`},
		{Bin, []uint64{5, 7}, `"longest_pause_ps":2,"pause_from_ps":5`},
		{Tags, []uint64{5, 7}, `"longest_pause_ps":null,"pause_from_ps":null`}, // counted without reading them
	} {
		path := filepath.Join(t.TempDir(), "x."+c.format)
		if err := WriteFile(path, c.format, 1, c.times); err != nil {
			t.Fatal(err)
		}
		info, err := Scan(path, "")
		text, _ := json.Marshal(info)
		if err != nil || !strings.Contains(string(text), c.want) {
			t.Errorf("%s of %v: %s, %v", c.format, c.times, text, err)
		}
	}
}
