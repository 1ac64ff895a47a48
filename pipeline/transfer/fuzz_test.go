package transfer

import (
	"context"
	"encoding/json"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tsrun/internal/hostile"
	"tsrun/pipeline/wire"
)

// FuzzDecodeLedger: whatever stands in a ledger names bytes of the file only.
func FuzzDecodeLedger(f *testing.F) {
	head := encodeLedgerHead(1000, Digest{1})
	f.Add(append(head[:len(head):len(head)], entry{5, 10, 7}.encode(head)...))
	f.Add(head)
	f.Add([]byte(ledgerMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		size, _, entries, err := decodeLedger(b)
		if err == nil && (size < 0 || size > maxSize) || len(entries)*ledgerEntrySize > len(b) {
			t.Fatalf("a file of %d bytes with %d chunks: %v", size, len(entries), err)
		}
		for _, e := range entries {
			if e.length > MaxChunk || (Range{e.offset, int64(e.length)}).check(size) != nil {
				t.Fatalf("%d bytes at %d of a file of %d", e.length, e.offset, size)
			}
		}
	})
}

// FuzzDecodeCredit: nothing but a credit is one.
func FuzzDecodeCredit(f *testing.F) {
	f.Add(encodeCredit(7))
	f.Add([]byte(creditMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := decodeCredit(b); err == nil && string(encodeCredit(n)) != string(b) {
			t.Fatalf("%x is the credit for %d", b, n)
		}
	})
}

// FuzzAsk: whatever a node asks about a file, nothing appears but below its own
// folder, and only files under way.
func FuzzAsk(f *testing.F) {
	f.Add([]byte(`{"id":1,"name":"raw/bob/x.bin","size":9,"sha256":"` + Digest{1}.String() + `"}`))
	f.Add([]byte(`{"id":2,"name":"raw/bob/../../x","size":9}`))
	f.Add([]byte(`{"id":3,"name":"raw/bob/d/e","size":-1,"withdrawn":"it is gone"}`))
	f.Fuzz(func(t *testing.T, question []byte) {
		var file File
		if json.Unmarshal(question, &file) != nil || file.Size > 1<<20 {
			return // more is taken only of a disk that has it: TestFullDisk
		}
		r, err := NewReceiver("127.0.0.1:0", wire.Guard{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		dir := t.TempDir()
		token := [16]byte{1}
		r.Admit(admission(token, "bob", dir))
		<-r.session(token).clerk.ready // until then a file of its trial may be there
		for range 2 {
			r.Ask(token, file)
		}
		filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			below, _ := filepath.Rel(filepath.Join(dir, "raw", "bob"), name)
			if err == nil && !d.IsDir() && (!filepath.IsLocal(below) || filepath.Ext(name) != partSuffix && file.Size > 0) {
				t.Errorf("%s is there", name)
			}
			return nil
		})
	})
}

// FuzzFilesPort: whatever a peer says over a connection to the files port, after
// its handshake, the receiver still takes the next file, and what was proven stays.
func FuzzFilesPort(f *testing.F) {
	token := [16]byte{1}
	chunk := func(h head, b string) []byte {
		h.token, h.length = token, uint32(len(b))
		var head [headSize]byte
		h.encode(head[:])
		said := append([]byte{1, headSize}, head[:]...)
		return append(append(said, 0, byte(len(b))), b...)
	}
	f.Add(chunk(head{file: 1, number: 1}, "x"))
	f.Add(append(chunk(head{file: 1, number: 1, offset: 999}, "xy"), chunk(head{file: 1, number: 2}, "x")...))
	f.Add([]byte("\x00\x03abc"))
	f.Add([]byte(hostile.Long(2, 1<<62)))
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(dir) })
	r, err := NewReceiver("127.0.0.1:0", wire.Guard{}, nil)
	if err != nil {
		f.Fatal(err)
	}
	r.Admit(admission(token, "bob", dir))
	ran := make(chan error, 1)
	go func() { ran <- r.Run(context.Background()) }() // until Close
	f.Cleanup(func() { r.Close(); <-ran })
	file := File{ID: 1, Name: "raw/bob/x.bin", Size: 1000}
	if a := r.Ask(token, file); a.Refused != "" {
		f.Fatal(a.Refused)
	}
	greeting := hostile.Bytes("PAIR")["ready, then silence"]
	f.Fuzz(func(t *testing.T, said []byte) {
		c, err := net.Dial("tcp", r.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(wait))
		c.Write(greeting)
		c.Write(said)
		c.(*net.TCPConn).CloseWrite()
		for b := make([]byte, 4096); err == nil; { // until the receiver has read all of it
			_, err = c.Read(b)
		}
		if a := r.Ask(token, file); a.Verified || a.Refused != "" {
			t.Fatalf("the file is %+v", a)
		}
	})
}
