package e2e

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
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

// askNats reaches a server that shows a certificate and wants a token.
func askNats(t *testing.T, address string, trusted *x509.CertPool, token string) *asked {
	t.Helper()
	plain, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plain.Close() })
	if err := plain.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	for b := make([]byte, 1); b[0] != '\n'; { // what the server is: a line, and TLS from there on
		if _, err := plain.Read(b); err != nil {
			t.Fatal(err)
		}
	}
	conn := tls.Client(plain, &tls.Config{RootCAs: trusted, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12})
	fmt.Fprintf(conn, "CONNECT {\"verbose\":false,\"auth_token\":%q}\r\nSUB answers 1\r\n", token)
	return &asked{t, conn, bufio.NewReader(conn)}
}

// certificate writes one for 127.0.0.1, signed by itself, as cert.pem and key.pem.
func certificate(t *testing.T, dir string) (trusted *x509.CertPool) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, of, of, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	write(t, filepath.Join(dir, "cert.pem"), string(text))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	trusted = x509.NewCertPool()
	trusted.AppendCertsFromPEM(text)
	return trusted
}

// saysNowhere wants that no file of a run, and nothing that was printed, holds a secret.
func saysNowhere(t *testing.T, secret, dir string, printed ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var text []byte
			text, err = os.ReadFile(path)
			printed = append(printed, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range printed {
		if strings.Contains(text, secret) {
			t.Errorf("a secret is in what a run leaves or prints: %.300q", text)
		}
	}
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

// TestMergedToNats has a run bring its merged tags to a hub that shows a certificate and wants a
// token, and to a server that is not there: the one has each tag of the run once, the other
// costs a warning. The token is in no file of the run.
func TestMergedToNats(t *testing.T) {
	t.Parallel()
	plugins, work := ownModule(t, "sink-nats"), t.TempDir()
	address := fmt.Sprintf("127.0.0.1:%d", ownPort(t, "127.0.0.1"))
	const secret = "token-of-a-test-alone"
	trusted := certificate(t, work)
	write(t, filepath.Join(work, "token"), secret+"\n")
	h := start(t, work, []string{"env", "TSRUN_PLUGINS=" + plugins}, "hub", "--store", "hub", "--listen", address, "--sync", "2m",
		"--cert", "cert.pem", "--key", "key.pem", "--token-file", "token")
	eventually(t, 60*time.Second, "the hub listens", func() bool { return strings.Contains(h.stdout.String(), "listening") })
	text, err := os.ReadFile(shipped(t, "coincidence.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	recipe := write(t, filepath.Join(work, "merged.yaml"), strings.Replace(string(text), "sinks:\n",
		"sinks:\n  cloud: {sink: sink-nats, takes: merged, config: {url: \"tls://"+address+"\", ca: cert.pem, token_file: token}}\n"+
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
	messages, tags := askNats(t, address, trusted, secret).merged(m.Run)
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
	saysNowhere(t, secret, dir, r.stdout, r.stderr, h.stdout.String(), h.stderr.String())
	contains(t, r.stdout+r.stderr, "sink away takes no merged tags any more", "messages are missing on", "on tsrun."+m.Run+".merged")
	if left, _ := filepath.Glob(filepath.Join(dir, "*merged*")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}
