package transfer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tsrun/pipeline/wire"
)

// BenchmarkFile sends a file of 64 MiB to a Receiver and, turn by turn, the same
// bytes over a bare TCP connection into a file that is then hashed and fsynced
// as well. It reports the ratio of the two rates, which a busy machine leaves alone.
func BenchmarkFile(b *testing.B) {
	const size = 64 << 20
	path := filepath.Join(b.TempDir(), "source")
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i * i >> 7)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.Fatal(err)
	}
	sum := sha256.Sum256(content)
	r, err := NewReceiver("127.0.0.1:0", wire.Guard{}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(b.Context())
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	dir := b.TempDir()
	var ours, bare time.Duration
	for i := 0; b.Loop(); i++ {
		token := [16]byte{byte(i), byte(i >> 8), 1}
		r.Admit(admission(token, fmt.Sprint("n", i), dir))
		s := NewSender(SenderOptions{Addr: r.Addr().String(), Token: token,
			Ask: func(_ context.Context, f File) (Answer, error) { return r.Ask(token, f), nil }})
		name := fmt.Sprintf("raw/n%d/x.bin", i)
		start := time.Now()
		s.Queue(File{ID: 1, Name: name, Path: path, Size: size, SHA256: sum})
		s.Finish()
		if err := s.Run(ctx); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)
		start = time.Now()
		bareCopy(b, path, filepath.Join(dir, "bare"), sum)
		bare += time.Since(start)
		for _, p := range []string{filepath.Join(dir, name), filepath.Join(dir, "bare")} {
			if err := os.Remove(p); err != nil {
				b.Fatal(err)
			}
		}
	}
	cancel()
	if err := <-ran; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)*size/ours.Seconds()/1e6, "MB/s")
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "of-bare-copy")
	b.ReportMetric(0, "ns/op")
}

// bareCopy does by hand, without protocol, what a transfer does to one file.
func bareCopy(b *testing.B, from, to string, sum [32]byte) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	sent := make(chan error, 1)
	go func() {
		sent <- func() error {
			f, err := os.Open(from)
			if err != nil {
				return err
			}
			defer f.Close()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				return err
			}
			defer c.Close()
			// Without its other methods neither side is left to the kernel alone.
			_, err = io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{f}, make([]byte, DefaultChunk))
			return err
		}()
	}()
	c, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	f, err := os.Create(to)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{c}, make([]byte, DefaultChunk))
	if err == nil {
		err = <-sent
	}
	if err != nil {
		b.Fatal(err)
	}
	h := sha256.New()
	_, err = io.Copy(h, io.NewSectionReader(f, 0, n))
	if err == nil {
		err = f.Sync()
	}
	if err != nil || [32]byte(h.Sum(nil)) != sum {
		b.Fatal("the bare copy went wrong: ", err)
	}
}
