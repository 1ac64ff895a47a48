package transfer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path"
	"sync"

	"tsrun/sdk/tag"
)

// A ledger stands beside a file under way and holds what has arrived of it: a
// head, and an entry for each chunk, appended after its bytes were written. It
// proves nothing by itself: who finds one reads the bytes of every entry again
// and compares their checksum. All numbers are little-endian.
//
//	head, 56 bytes                   entry, 24 bytes
//	 0  4  magic "TSFL"               0  8  offset in the file
//	 4  1  version                    8  4  length
//	 5  3  zero                      12  4  CRC-32C of the bytes
//	 8  8  size of the file          16  4  zero
//	16 32  SHA-256 announced         20  4  CRC-32C of the head and of the
//	48  4  zero                             entry before this
//	52  4  CRC-32C of all before
const (
	ledgerHeadSize  = 56
	ledgerEntrySize = 24
	ledgerVersion   = 1
	ledgerMagic     = "TSFL"

	// maxEntries bounds a ledger: at chunks of 64 KiB, a file of 64 GiB. Chunks
	// beyond are kept like any other, and sent again after a restart.
	maxEntries = 1 << 20
)

// entry is a chunk that was written.
type entry struct {
	offset int64
	length uint32
	sum    uint32 // CRC-32C of the bytes
}

func (e entry) span() span { return span{e.offset, e.offset + int64(e.length)} }

// ledgerName is where the ledger of a file is: names that begin with a dot are
// no node's, and those that end like a part are no finished file's.
func ledgerName(name string) string {
	return path.Join(path.Dir(name), "."+path.Base(name)+".ledger"+partSuffix)
}

// encodeLedgerHead returns the head of the ledger of a file.
func encodeLedgerHead(size int64, sum Digest) []byte {
	b := make([]byte, ledgerHeadSize)
	copy(b, ledgerMagic)
	b[4] = ledgerVersion
	binary.LittleEndian.PutUint64(b[8:], uint64(size))
	copy(b[16:], sum[:])
	binary.LittleEndian.PutUint32(b[52:], crc32.Checksum(b[:52], tag.Castagnoli))
	return b
}

// encode encodes e for the ledger that begins with head.
func (e entry) encode(head []byte) []byte {
	b := make([]byte, ledgerEntrySize)
	binary.LittleEndian.PutUint64(b, uint64(e.offset))
	binary.LittleEndian.PutUint32(b[8:], e.length)
	binary.LittleEndian.PutUint32(b[12:], e.sum)
	binary.LittleEndian.PutUint32(b[20:], entrySum(head, b))
	return b
}

func entrySum(head, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(head, tag.Castagnoli), tag.Castagnoli, b[:20])
}

// errNoLedger reports bytes that are no ledger.
var errNoLedger = errors.New("read ledger: it is none, or of another release")

// decodeLedger returns what the ledger b says, up to the first entry that is torn
// or damaged.
func decodeLedger(b []byte) (size int64, sum Digest, entries []entry, err error) {
	if len(b) < ledgerHeadSize || string(b[:4]) != ledgerMagic || b[4] != ledgerVersion ||
		binary.LittleEndian.Uint32(b[52:]) != crc32.Checksum(b[:52], tag.Castagnoli) {
		return 0, sum, nil, errNoLedger
	}
	head := b[:ledgerHeadSize]
	size, sum = int64(binary.LittleEndian.Uint64(head[8:])), Digest(head[16:48])
	if size < 0 || size > maxSize {
		return 0, sum, nil, fmt.Errorf("read ledger: size of %d bytes", uint64(size))
	}
	for b = b[ledgerHeadSize:]; len(b) >= ledgerEntrySize && len(entries) < maxEntries; b = b[ledgerEntrySize:] {
		e := entry{int64(binary.LittleEndian.Uint64(b)), binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])}
		if binary.LittleEndian.Uint32(b[20:]) != entrySum(head, b) || e.length > MaxChunk ||
			(Range{e.offset, int64(e.length)}).check(size) != nil {
			break
		}
		entries = append(entries, e)
	}
	return size, sum, entries, nil
}

// ledger is the open ledger of a file under way.
type ledger struct {
	file *os.File
	head []byte

	mu      sync.Mutex
	entries int // maxEntries: no more are kept
}

// openLedger opens the ledger of f, which has a name below root, and returns the chunks that it
// holds of just this file; those of another one are forgotten.
func openLedger(root *os.Root, name string, f File) (*ledger, []entry, error) {
	file, err := root.OpenFile(ledgerName(name), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, nil, err
	}
	l := &ledger{file: file, head: encodeLedgerHead(f.Size, f.SHA256)}
	content, err := readLedger(file)
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	size, sum, entries, err := decodeLedger(content)
	if err != nil || size != f.Size || sum != f.SHA256 {
		entries = nil
	}
	if l.entries = len(entries); l.entries == 0 {
		err = l.forget()
	} else {
		err = file.Truncate(ledgerHeadSize + int64(len(entries))*ledgerEntrySize) // a torn tail
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return l, entries, nil
}

func readLedger(file *os.File) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errDifferent
	}
	return io.ReadAll(io.NewSectionReader(file, 0, ledgerHeadSize+maxEntries*ledgerEntrySize))
}

// forget empties the ledger.
func (l *ledger) forget() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = 0
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err := l.file.WriteAt(l.head, 0)
	return err
}

// add appends a chunk that was written. Where the ledger cannot be written the
// chunk is one that is not proven after a restart.
func (l *ledger) add(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries >= maxEntries {
		return
	}
	if _, err := l.file.WriteAt(e.encode(l.head), ledgerHeadSize+int64(l.entries)*ledgerEntrySize); err != nil {
		l.entries = maxEntries
		return
	}
	l.entries++
}

// close closes the ledger, where there is one.
func (l *ledger) close() {
	if l != nil {
		l.file.Close()
	}
}

// read returns the chunks that are in the ledger.
func (l *ledger) read() ([]entry, error) {
	content, err := readLedger(l.file)
	if err != nil {
		return nil, err
	}
	_, _, entries, err := decodeLedger(content)
	return entries, err
}
