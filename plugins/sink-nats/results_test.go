package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tsrun/sdk"
	"tsrun/sdk/tag"
)

const resultsRun = "00112233445566778899aabbccddeeff"

// resultsOf are what the program reads of one stage.
func resultsOf(config, head, rows string) string {
	return fmt.Sprintf(`{"version":1,"sink":"sink-nats","config":%s,"run":%q,"recipe":"ab","simulated":true,"results":1}`+"\n%s\n%s", config, resultsRun, head, rows)
}

// pairsHead is a stage with a table of three columns.
func pairsHead(rows int) string {
	return fmt.Sprintf(`{"stage":"pairs","kind":"coincidences","file":"pairs","columns":[{"name":"a_ps","unit":"ps","type":"integer"},{"name":"g2","type":"number"},{"name":"of","type":"text"}],"rows":%d,"summary":{"pairs": 7}}`, rows)
}

// give has the program take results.
func give(t *testing.T, input string) (a sdk.ResultsAnswer, failed string) {
	t.Helper()
	var out, complaints bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env, cmd.Dir = append(os.Environ(), resultsArgs+"=1"), t.TempDir()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &complaints
	if err := cmd.Run(); err != nil {
		if complaints.Len() == 0 {
			t.Fatalf("it failed and does not say why: %v", err)
		}
		return a, complaints.String()
	}
	if err := json.Unmarshal(out.Bytes(), &a); err != nil || len(a.Files) > 0 {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	return a, ""
}

func resultsStream(t *testing.T, url string) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	conn, err := access{URL: url}.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "tsrun_"+resultsRun+"-results")
	if err != nil {
		t.Fatal(err)
	}
	return js, s
}

// readBack reads the messages of a stream, proves each, and returns the texts of whole
// results.
func readBack(t *testing.T, s jetstream.Stream) (texts []string, messages int) {
	t.Helper()
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := s.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		var part, parts int
		if _, err := fmt.Sscanf(m.Header.Get(partHeader), "%d/%d", &part, &parts); err != nil {
			t.Fatalf("%v: %v", err, m.Header)
		}
		text += string(m.Data)
		sum := m.Header.Get(lastHeader)
		if id := fmt.Sprintf("%s.%s.%d/%d", m.Subject, sum, part, parts); m.Header.Get("Nats-Msg-Id") != id || m.Header.Get(sumHeader) != fmt.Sprintf("%08x", crc32.Checksum(m.Data, tag.Castagnoli)) {
			t.Errorf("message %d: %v", seq, m.Header)
		}
		if !strings.HasSuffix(string(m.Data), "\n") {
			t.Errorf("message %d ends within a line", seq)
		}
		if messages++; part == parts {
			if fmt.Sprintf("%x", sha256.Sum256([]byte(text))) != sum {
				t.Errorf("what ends with message %d is not what its headers say", seq)
			}
			texts, text = append(texts, text), ""
		}
	}
	return texts, messages
}

// TestResults: the values are in the stream as they were, once, and again where others
// came between; they are no node of the run.
func TestResults(t *testing.T) {
	_, url := testHub(t, "2m")
	config := `{"url":"` + url + `"}`
	first, other := resultsOf(config, pairsHead(2), "9223372036854775807,,x\n,0.1,\n"), resultsOf(config, pairsHead(1), "1,2,\n")
	for i, input := range []string{first, first, other, first} {
		if a, failed := give(t, input); failed != "" || a.Messages != 1 || len(a.Without) > 0 {
			t.Fatalf("%d: %+v %s", i, a, failed)
		}
		if i == 0 {
			time.Sleep(repeated + 100*time.Millisecond) // the server knows the identifier no more
		}
	}
	js, s := resultsStream(t, url)
	about := "# summary {\"pairs\":7}\n# SIMULATED: computed and not measured; stage pairs of kind coincidences; run " + resultsRun + "; recipe ab\na_ps,g2,of\n"
	a, b := about+"9223372036854775807,,x\n,0.1,\n", about+"1,2,\n"
	if texts, n := readBack(t, s); n != 3 || len(texts) != 3 || texts[0] != a || texts[1] != b || texts[2] != a {
		t.Errorf("%d messages: %q", n, texts)
	}
	m, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{schemaHeader: "1", stageHeader: "pairs", kindHeader: "coincidences", simulatedHeader: "true", partHeader: "1/1", rowsHeader: "2",
		columnsHeader: `[{"name":"a_ps","unit":"ps","type":"integer"},{"name":"g2","type":"number"},{"name":"of","type":"text"}]`} {
		if got := m.Header.Get(key); got != want {
			t.Errorf("%s is %q, it is to be %q", key, got, want)
		}
	}
	if want := "tsrun." + resultsRun + ".results.pairs"; m.Subject != want {
		t.Errorf("subject %s", m.Subject)
	}
	if _, nodes, err := (&followFlags{prefix: "tsrun"}).list(t.Context(), js); err != nil || len(nodes) > 0 {
		t.Errorf("results are followed as nodes %q; %v", nodes, err)
	}
}

// TestResultsWithoutTable: a summary is sent alone, and nothing where there is none.
func TestResultsWithoutTable(t *testing.T) {
	_, url := testHub(t, "2m")
	config := `{"url":"` + url + `"}`
	if a, failed := give(t, resultsOf(config, `{"stage":"none","kind":"rates","file":"none","columns":[],"rows":0}`, "")); failed != "" || a.Messages != 0 || len(a.Without) != 1 {
		t.Errorf("%+v %s", a, failed)
	}
	if a, failed := give(t, resultsOf(config, `{"stage":"some","kind":"rates","file":"some","columns":[],"rows":0,"summary":{"n":1}}`, "")); failed != "" || a.Messages != 1 {
		t.Errorf("%+v %s", a, failed)
	}
	_, s := resultsStream(t, url)
	if texts, n := readBack(t, s); n != 1 || !strings.HasPrefix(texts[0], "# summary {\"n\":1}\n# SIMULATED") {
		t.Errorf("%q", texts)
	}
}

// TestLongResults: a table longer than a message comes in parts, and one of which a part
// is there goes on behind it.
func TestLongResults(t *testing.T) {
	_, url := testHub(t, "2m")
	const rows = 80_000
	var table strings.Builder
	for i := range rows {
		fmt.Fprintf(&table, "%d,%d.5,row of a long table\n", i*1_000_003, i)
	}
	input := resultsOf(`{"url":"`+url+`"}`, pairsHead(rows), table.String())
	a, failed := give(t, input)
	if failed != "" || a.Messages < 3 {
		t.Fatalf("%+v %s", a, failed)
	}
	_, s := resultsStream(t, url)
	whole := func() {
		t.Helper()
		if texts, n := readBack(t, s); len(texts) != 1 || uint64(n) != a.Messages || !strings.HasSuffix(texts[0], "\na_ps,g2,of\n"+table.String()) {
			t.Errorf("%d results in %d messages of %d", len(texts), n, a.Messages)
		}
	}
	whole()
	_, s2 := resultsStream(t, url)
	if err := s2.DeleteMsg(t.Context(), a.Messages); err != nil { // as if the sink had died before it
		t.Fatal(err)
	}
	again, failed := give(t, input)
	if failed != "" || again.Messages != a.Messages {
		t.Fatalf("%+v %s", again, failed)
	}
	info, err := s.Info(t.Context())
	if err != nil || info.State.Msgs != a.Messages || info.State.LastSeq != a.Messages+1 {
		t.Errorf("%+v %v", info.State, err)
	}
}

// TestResultsServerAway: a server that stays away is told of, and one that comes within
// the patience gets all.
func TestResultsServerAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	input := func(patience string) string {
		return resultsOf(`{"url":"nats://`+at+`","patience":"`+patience+`"}`, pairsHead(1), "1,2,\n")
	}
	if _, failed := give(t, input("1 s")); !strings.Contains(failed, "has taken nothing for 1 s") || !strings.Contains(failed, "pairs") || !strings.Contains(failed, at) {
		t.Error(failed)
	}
	type begun struct {
		h   *hub
		err error
	}
	started, store := make(chan begun, 1), t.TempDir()
	late := time.AfterFunc(500*time.Millisecond, func() { // it most likely was refused by then; nothing depends on it
		h, err := startHub(hubFlags{Store: store, Listen: at, Sync: "2m"})
		started <- begun{h, err}
	})
	defer late.Stop()
	a, failed := give(t, input("45 s"))
	if b := <-started; b.err != nil {
		t.Fatal(b.err)
	} else {
		t.Cleanup(b.h.stop)
	}
	if failed != "" || a.Messages != 1 {
		t.Errorf("%+v %s", a, failed)
	}
}

// TestRefusesResults: what cannot be sent is told of, and sent nowhere else.
func TestRefusesResults(t *testing.T) {
	_, url := testHub(t, "2m")
	config := `{"url":"` + url + `","patience":"1 s"}`
	whole := resultsOf(config, pairsHead(1), "1,2,\n")
	wide := strings.Replace(whole, `"a_ps"`, `"`+strings.Repeat("x", mostPart)+`"`, 1)
	js, hangUp := ask(t, url)
	defer hangUp()
	for name, subject := range map[string]string{"tsrun_" + resultsRun + "_results": "tsrun." + resultsRun + ".results.*", "other_" + resultsRun + "-results": "elsewhere"} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct{ input, says string }{
		"a node that is named results":  {whole, "make the stream"},
		"a stream of somebody else":     {strings.Replace(whole, `"patience"`, `"prefix":"other","patience"`, 1), "elsewhere"},
		"no run":                        {strings.ReplaceAll(whole, resultsRun, "x.>"), "is no run"},
		"a prefix of two words":         {strings.Replace(whole, `"patience"`, `"prefix":"a.b","patience"`, 1), "prefix"},
		"names longer than a message":   {strings.Replace(wide, `"patience"`, `"prefix":"wide","patience"`, 1), "max_payload"},
		"a password that recipes print": {strings.Replace(whole, "nats://", "nats://a:b@", 1), "password"},
	} {
		if a, failed := give(t, tt.input); !strings.Contains(failed, tt.says) {
			t.Errorf("%s: %+v %s", name, a, failed)
		}
	}
}

// TestCutsBehindLines: whatever fits, nothing is lost, and only a line that is too long
// is cut.
func TestCutsBehindLines(t *testing.T) {
	const text = "a\nbcdefgh\n\nij\nk\n"
	for room := 1; room <= len(text)+1; room++ {
		for write := 1; write <= len(text); write++ {
			var parts []string
			c := &cutter{room: room, take: func(p []byte) error { parts = append(parts, string(p)); return nil }}
			for rest := text; rest != ""; rest = rest[min(write, len(rest)):] {
				if _, err := c.Write([]byte(rest[:min(write, len(rest))])); err != nil {
					t.Fatal(err)
				}
			}
			parts = append(parts, string(c.held))
			for _, p := range parts {
				if len(p) > room || p == "" || room >= len("bcdefgh\n") && !strings.HasSuffix(p, "\n") {
					t.Errorf("room for %d, written by %d: %q", room, write, parts)
				}
			}
			if strings.Join(parts, "") != text {
				t.Errorf("room for %d, written by %d: %q", room, write, parts)
			}
		}
	}
}
