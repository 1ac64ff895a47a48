package e2e

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/run"
)

// asked is a client of a NATS server that knows no more than to ask.
type asked struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func askNats(t *testing.T, address string) *asked {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "CONNECT {\"verbose\":false}\r\nSUB answers 1\r\n")
	return &asked{t, conn, bufio.NewReader(conn)}
}

// ask asks JetStream, and reads its answer.
func (a *asked) ask(subject, text string, answer any) {
	a.t.Helper()
	fmt.Fprintf(a.conn, "PUB $JS.API.%s answers %d\r\n%s\r\n", subject, len(text), text)
	for {
		line, err := a.in.ReadString('\n')
		if err != nil {
			a.t.Fatal(err)
		}
		var size int
		if n, _ := fmt.Sscanf(line, "MSG answers 1 %d", &size); n == 0 {
			continue
		}
		body := make([]byte, size)
		if _, err = io.ReadFull(a.in, body); err == nil {
			err = json.Unmarshal(body, answer)
		}
		if err != nil {
			a.t.Fatal(err)
		}
		return
	}
}

// merged are the tags of each channel in the stream of the merged tags of a run.
func (a *asked) merged(id string) (messages uint64, tags map[string]uint64) {
	a.t.Helper()
	var about struct{ State struct{ Messages uint64 } }
	stream, tags := "tsrun_"+id+"-merged", map[string]uint64{}
	a.ask("STREAM.INFO."+stream, "", &about)
	last := int64(-1 << 62)
	for n := range about.State.Messages {
		var got struct{ Message struct{ Hdrs, Data []byte } }
		a.ask("STREAM.MSG.GET."+stream, fmt.Sprintf(`{"seq":%d}`, n+1), &got)
		_, head, _ := strings.Cut(string(got.Message.Hdrs), "Tsrun-Merged:")
		head, _, _ = strings.Cut(head, "\r\n")
		var says struct {
			Tags     int
			Channels []string
		}
		data := got.Message.Data
		if err := json.Unmarshal([]byte(head), &says); err != nil || len(data) != 10*says.Tags {
			a.t.Fatalf("%v: %d bytes of %d tags", err, len(data), says.Tags)
		}
		for i := range says.Tags {
			at := int64(binary.LittleEndian.Uint64(data[8*i:]))
			if at < last {
				a.t.Errorf("a tag at %d ps stands behind one at %d ps", at, last)
			}
			last = at
			tags[says.Channels[binary.LittleEndian.Uint16(data[8*says.Tags+2*i:])]]++
		}
	}
	return about.State.Messages, tags
}

// TestMergedToNats has a run bring its merged tags to a hub, and to a server that is not
// there: the one has each tag of the run once, the other costs a warning.
func TestMergedToNats(t *testing.T) {
	t.Parallel()
	plugins, work := ownModule(t, "sink-nats"), t.TempDir()
	address := fmt.Sprintf("127.0.0.1:%d", ownPort(t, "127.0.0.1"))
	h := start(t, work, []string{"env", "TSRUN_PLUGINS=" + plugins}, "hub", "--store", "hub", "--listen", address, "--sync", "2m")
	eventually(t, 60*time.Second, "the hub listens", func() bool { return strings.Contains(h.stdout.String(), "listening") })
	text, err := os.ReadFile(shipped(t, "coincidence.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	recipe := write(t, filepath.Join(work, "merged.yaml"), strings.Replace(string(text), "sinks:\n",
		"sinks:\n  cloud: {sink: sink-nats, takes: merged, config: {url: \"nats://"+address+"\"}}\n"+
			"  away: {sink: sink-nats, takes: merged, config: {url: \"nats://127.0.0.1:1\", of: [alice.signal, alice.herald]}}\n", 1))
	r := runTsrun(t, work, append([]string{recipe, "--plugin-dir", plugins, "--set", "acquire.duration=2 s", "--set", "acquire.segment=500 ms"}, freePorts...)...)
	dir, m := latest(t, work)
	if r.code != 0 && !heldUp(m) || m.Has(run.Incomplete) {
		t.Fatalf("exit code %d: %s\n%s", r.code, reasons(m), r.stderr)
	}
	if len(m.Live) != 2 || m.Live[0].Taken == nil || m.Live[1].Taken == nil {
		t.Fatalf("%+v", m.Live)
	}
	own := tagsOfRun(m)
	there, away := m.Live[0], m.Live[1]
	if got := *there.Taken; there.Tags != own || got.Tags != own || got.Messages != there.Messages || got.Missing != 0 || got.Failed != "" || got.Where != "tsrun."+m.Run+".merged" || got.Confinement == (run.TakenRecord{}).Confinement {
		t.Errorf("%+v of %+v, the run has %d tags", got, there, own)
	}
	if got := *away.Taken; got.Messages != 0 || got.Missing != away.Messages || away.Messages == 0 || !strings.Contains(got.Failed, "reach the NATS server") {
		t.Errorf("%+v of %+v", got, away)
	}
	messages, tags := askNats(t, address).merged(m.Run)
	if messages != there.Messages || len(tags) != 3 {
		t.Errorf("%d messages are there of %d, of channels %v", messages, there.Messages, tags)
	}
	for name, n := range m.Nodes {
		for channel, c := range n.Channels {
			if tags[name+"."+channel] != c.Tags || c.Tags == 0 {
				t.Errorf("%d tags of %s.%s are there, the run has %d", tags[name+"."+channel], name, channel, c.Tags)
			}
		}
	}
	contains(t, r.stdout+r.stderr, "sink away takes no merged tags any more", "messages are missing on", "on tsrun."+m.Run+".merged")
	if left, _ := filepath.Glob(filepath.Join(dir, "*merged*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
