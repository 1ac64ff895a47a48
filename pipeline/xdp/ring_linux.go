package xdp

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	frames    = 64 // of a queue; a power of two
	frameSize = 2048
	// fillEntry and received are the sizes of what stands in the two rings.
	fillEntry = int(unsafe.Sizeof(uint64(0)))
	received  = int(unsafe.Sizeof(unix.XDPDesc{}))
)

// ring is the socket of one queue of an interface, and the memory that it shares with
// the kernel: frames, of which the one ring (fill) gives places to the kernel and the
// other (rx) tells which it has filled. One goroutine uses it.
type ring struct {
	fd           int
	memory       []byte
	fill, rx     []byte
	offsets      unix.XDPMmapOffsets
	given, taken uint32 // numbers of the next entries
}

// newRing opens a socket and gives all frames to the kernel.
func newRing(at *net.Interface, queue int) (*ring, error) {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, refusal("open a socket", err)
	}
	r := &ring{fd: fd}
	if err := r.share(); err != nil {
		r.close()
		return nil, refusal("share memory with the kernel", err)
	}
	for i := range uint64(frames) {
		r.give(i * frameSize)
	}
	if err := r.bind(at.Index, queue); err != nil {
		r.close()
		return nil, refusal(fmt.Sprintf("listen to queue %d of %s", queue, at.Name), err)
	}
	return r, nil
}

// busyFor is how long a queue may be busy: the kernel lets go of it some time after its
// socket was closed, such as by the run before.
const busyFor = time.Second

// bind has the socket take what comes to a queue.
func (r *ring) bind(index, queue int) (err error) {
	for end := time.Now().Add(busyFor); ; time.Sleep(10 * time.Millisecond) {
		err = unix.Bind(r.fd, &unix.SockaddrXDP{Flags: unix.XDP_COPY, Ifindex: uint32(index), QueueID: uint32(queue)})
		if !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			return err
		}
	}
}

// share maps the frames and the rings.
func (r *ring) share() (err error) {
	const there = unix.PROT_READ | unix.PROT_WRITE
	if r.memory, err = unix.Mmap(-1, 0, frames*frameSize, there, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE); err != nil {
		return err
	}
	registered := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&r.memory[0]))), Len: uint64(len(r.memory)), Size: frameSize}
	if err = r.option(unix.SYS_SETSOCKOPT, unix.XDP_UMEM_REG, unsafe.Pointer(&registered), unsafe.Sizeof(registered)); err != nil {
		return err
	}
	size := uint32(frames)
	// The kernel wants a ring of what was sent, too, although nothing is sent.
	for _, name := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_RX_RING} {
		if err = r.option(unix.SYS_SETSOCKOPT, name, unsafe.Pointer(&size), unsafe.Sizeof(size)); err != nil {
			return err
		}
	}
	length := uint32(unsafe.Sizeof(r.offsets))
	if err = r.option(unix.SYS_GETSOCKOPT, unix.XDP_MMAP_OFFSETS, unsafe.Pointer(&r.offsets), uintptr(unsafe.Pointer(&length))); err != nil {
		return err
	}
	if r.fill, err = unix.Mmap(r.fd, unix.XDP_UMEM_PGOFF_FILL_RING, int(r.offsets.Fr.Desc)+frames*fillEntry, there, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
		return err
	}
	r.rx, err = unix.Mmap(r.fd, unix.XDP_PGOFF_RX_RING, int(r.offsets.Rx.Desc)+frames*received, there, unix.MAP_SHARED|unix.MAP_POPULATE)
	return err
}

// option sets or gets an option of the socket, of which package unix knows no more than
// the names.
func (r *ring) option(call uintptr, name int, value unsafe.Pointer, length uintptr) error {
	if _, _, errno := unix.Syscall6(call, uintptr(r.fd), unix.SOL_XDP, uintptr(name), uintptr(value), length, 0); errno != 0 {
		return errno
	}
	return nil
}

func counter(b []byte, at uint64) *uint32 { return (*uint32)(unsafe.Pointer(&b[at])) }

// give gives a frame to the kernel, by where it begins.
func (r *ring) give(address uint64) {
	at := r.offsets.Fr.Desc + uint64(r.given%frames)*uint64(fillEntry)
	*(*uint64)(unsafe.Pointer(&r.fill[at])) = address
	r.given++
	atomic.StoreUint32(counter(r.fill, r.offsets.Fr.Producer), r.given)
}

// next calls f with the next frame that came, and gives that back to the kernel; false:
// none has come.
func (r *ring) next(f func(frame []byte)) bool {
	if atomic.LoadUint32(counter(r.rx, r.offsets.Rx.Producer)) == r.taken {
		return false
	}
	at := r.offsets.Rx.Desc + uint64(r.taken%frames)*uint64(received)
	d := *(*unix.XDPDesc)(unsafe.Pointer(&r.rx[at]))
	r.taken++
	atomic.StoreUint32(counter(r.rx, r.offsets.Rx.Consumer), r.taken)
	if end := d.Addr + uint64(d.Len); d.Addr < uint64(len(r.memory)) && end <= uint64(len(r.memory)) {
		f(r.memory[d.Addr:end])
		r.give(d.Addr - d.Addr%frameSize)
	}
	return true
}

// failed is what befell the socket, once; nil: nothing.
func (r *ring) failed() error {
	errno, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = unix.Errno(errno)
	}
	return err
}

func (r *ring) close() {
	_ = unix.Close(r.fd) // nothing was written to it
	for _, b := range [][]byte{r.fill, r.rx, r.memory} {
		if b != nil {
			_ = unix.Munmap(b) // which was mapped
		}
	}
}
