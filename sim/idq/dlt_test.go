package idq_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tsrun/sim/idq"
)

func TestDataLinkReplies(t *testing.T) {
	folder := t.TempDir()
	s := start(t, idq.Config{Folder: folder})
	d := s.dlt()
	d.expect("list", `[]`)
	d.expect("start-save --address 127.0.0.1 --channel 1 --filename a.bin", `{"id":"127.0.0.1:5556"}`)
	d.expect(`start-save --filename "`+strings.ReplaceAll(folder, `\`, `\\`)+`/b c.bin" --format=bin --with-ref-index --id second --channel 2 --address localhost`, `{"id":"second"}`)
	d.expect("list", `["127.0.0.1:5556","second"]`)
	for _, refused := range []struct{ request, want string }{
		{"", "command is missing"},
		{"begin", "unknown command"},
		{"list --id 3", "unrecognised option '--id'"},
		{"list 3", "unrecognised option '3'"},
		{"status", "'--id' is required"},
		{"status --id nobody", `no acquisition \"nobody\" is open`},
		{"stop nobody", `no acquisition \"nobody\" is open`},
		{"status --foo 3", "unrecognised option '--foo'"},
		{"status --id", "required argument for option '--id'"},
		{"status --id second --id second", "given twice"},
		{"start-save --channel 3 --filename c.bin", "'--address' is required"},
		{"start-save --address 127.0.0.1 --channel 5 --filename c.bin", "number from 1 to 4"},
		{"start-save --address 127.0.0.1 --channel 3 --filename c.bin --format xml", "neither bin nor ascii"},
		{"start-save --address 127.0.0.1 --channel 3 --filename no/such/folder.bin", "no such file"},
		{"start-save --address 127.0.0.1 --channel 3 --filename .", "is not a file"},
		{`start-save --address 127.0.0.1 --channel 3 --filename "c.bin`, "quotation mark"},
		{`start-save --address 127.0.0.1 --channel 3 --filename ""`, "is empty"},
		{"start-save --address 127.0.0.1 --channel 3 --filename c.bin --with-ref-index=yes", "takes no argument"},
		{"start-save --address 192.0.2.7 --channel 3 --filename c.bin", "no Time Controller answers"},
		{"start-save --address 127.0.0.1 --channel 1 --filename c.bin", "already open"},
		{"start-save --address 127.0.0.1 --channel 1 --filename c.bin --id new", "channel 1 is already used"},
		{"start-stream --address 127.0.0.1 --channel 3 --stream-port 0", "number from 1 to 65535"},
		{"start-stream --address 127.0.0.1 --channel 3 --stream-port " + port(s.DLTAddr()), "in use"},
	} {
		if reply := d.ask(refused.request); !strings.HasPrefix(reply, `{"error":{"description":"`) || !strings.Contains(reply, refused.want) {
			t.Errorf("%s: %s, want %q", refused.request, reply, refused.want)
		}
	}
	st := d.status("second")
	if st.Records != 0 || st.Tags != 0 || st.Inactivity == nil || *st.Inactivity < 0 || st.Errors == nil || st.Old != nil {
		t.Errorf("status: %+v", st)
	}
	d.stop("second")
	d.stop("127.0.0.1:5556")
	d.expect("list", `[]`)
	if info, err := os.Stat(filepath.Join(folder, "b c.bin")); err != nil || info.Size() != 0 {
		t.Errorf("file: %v, %v", info, err)
	}
}

func port(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }

func TestNothingIsCountedWithSendOff(t *testing.T) {
	s := start(t, idq.Config{Folder: t.TempDir()})
	c, d := s.scpi(), s.dlt()
	d.ask("start-save --address 127.0.0.1 --channel 1 --filename off --id off")
	c.ask("RAW2:SEND ON;:REC:ENAB ON;DUR 20e9;PLAY")
	truth := s.truth()
	if st := d.stop("off"); st.Records != 0 || st.Tags != 0 {
		t.Errorf("status: %+v", st)
	}
	if len(truth.Channels) != 1 || truth.Channels[0].Channel != 2 || truth.Channels[0].Tags != 0 || truth.Channels[0].Unclaimed == 0 {
		t.Errorf("truth: %+v", truth)
	}
}

func TestFilesHoldDelayedTagsInBothFormats(t *testing.T) {
	folder := t.TempDir()
	s := start(t, idq.Config{Folder: folder})
	c, d := s.scpi(), s.dlt()
	c.ask("DELA2:VALU 5000;:RAW2:STOP:LINK TSCO5;:RAW3:STOP:LINK TSCO6;:TSCO5:FIR:LINK DELA1;:TSCO6:FIR:LINK DELA2;:DELA2:LINK INPU1")
	d.ask("start-save --address 127.0.0.1 --channel 2 --filename two --format bin --id 2")
	d.ask("start-save --address 127.0.0.1 --channel 3 --filename three --format ascii --id 3")
	c.ask("RAW2:SEND ON;:RAW3:SEND ON;:REC:ENAB ON;DUR 50e9;PLAY")
	truth := s.truth()
	d.stop("2")
	d.stop("3")
	data, err := os.ReadFile(filepath.Join(folder, "two"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "three"))
	if err != nil {
		t.Fatal(err)
	}
	direct := words(data)
	var delayed []uint64
	for line := range strings.Lines(string(text)) {
		v, err := strconv.ParseUint(strings.TrimSuffix(line, "\n"), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		delayed = append(delayed, v-5000)
	}
	// Both look at input 1; the delay shifts what lies within the record at
	// its ends.
	if len(direct) < 100 || !slices.Equal(direct[2:len(direct)-2], delayed[slices.Index(delayed, direct[2]):][:len(direct)-4]) {
		t.Errorf("%d direct tags, %d delayed ones", len(direct), len(delayed))
	}
	if two, three := truth.Channels[0], truth.Channels[1]; two.Input != 1 || three.Input != 1 || two.DelayPs != 0 || three.DelayPs != 5000 || three.Tags != uint64(len(delayed)) {
		t.Errorf("truth: %+v", truth.Channels)
	}
}

// TestStreamWaitsForItsPeer has no peer until everything was measured.
func TestStreamWaitsForItsPeer(t *testing.T) {
	s := start(t, idq.Config{})
	c, d := s.scpi(), s.dlt()
	stream := s.stream(d, 1, "--with-ref-index")
	stream.Close()
	c.ask("RAW1:SEND ON;:REC:ENAB ON;DUR 20e9;NUM 3;PLAY")
	truth := s.truth()
	d.ask("start-stream --address 127.0.0.1 --channel 1 --stream-port 4 --id other") // refused: the channel is taken
	if st := d.status("1"); st.Records > 1 {                                         // one may have gone down the closed connection
		t.Errorf("counted before anybody took it: %+v", st)
	}
	if truth.Records != 3 || truth.Channels[0].Tags == 0 {
		t.Errorf("truth: %+v", truth)
	}
}

func TestRecordsWithoutTagsAreOnlyCounted(t *testing.T) {
	s := start(t, idq.Config{})
	c, d := s.scpi(), s.dlt()
	stream := s.stream(d, 1, "")
	c.ask("INPU1:ENAB OFF;:RAW1:SEND ON;:REC:ENAB ON;DUR 1e9;NUM 5;PLAY")
	d.Until("status 1", func(r string) bool { return strings.Contains(r, `"acquisitions_count":5`) })
	d.stop("1")
	if got := message(t, stream); len(got) != 0 {
		t.Errorf("%d tags of a disabled input", len(got))
	}
	if truth := s.truth(); truth.Channels[0].Input != 0 || truth.Channels[0].Tags != 0 {
		t.Errorf("truth: %+v", truth)
	}
}

// TestEarlyMessages has a buffer smaller than a record.
func TestEarlyMessages(t *testing.T) {
	s := start(t, idq.Config{Buffer: 1000})
	c, d := s.scpi(), s.dlt()
	stream := s.stream(d, 1, "")
	c.ask("RAW1:SEND ON;:REC:ENAB ON;DUR 3600e12;PLAY")
	var tags []uint64
	for range 3 {
		tags = append(tags, message(t, stream)...)
	}
	if st := d.status("1"); st.Records != 0 || st.Tags == 0 {
		t.Errorf("status within the record: %+v", st)
	}
	c.ask("REC:STOP")
	truth := s.truth()
	d.Until("status 1", func(r string) bool { return strings.Contains(r, `"acquisitions_count":1`) })
	d.stop("1")
	for last := message(t, stream); len(last) > 0; last = message(t, stream) {
		tags = append(tags, last...)
	}
	if uint64(len(tags)) != truth.Channels[0].Tags || !slices.IsSorted(tags) {
		t.Errorf("%d tags received of %+v", len(tags), truth.Channels[0])
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
