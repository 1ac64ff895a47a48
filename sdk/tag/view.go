package tag

import (
	"encoding/binary"
	"unsafe"
)

// Size is the length in bytes of a tag on every wire and in bin files: a little-endian
// 64-bit word.
const Size = 8

// littleEndian tells whether a []uint64 in memory already looks like tags on the wire.
var littleEndian = func() bool {
	word := uint16(1)
	return *(*byte)(unsafe.Pointer(&word)) == 1
}()

// AsBytes returns tags as they travel: little-endian 64-bit words. On a
// little-endian machine the result shares memory with tags, so it is valid only
// as long as tags is left alone; elsewhere it is a copy.
//
// AsBytes of a fresh []uint64 is also how to get a buffer of bytes that
// [AsTags] can view without a copy, because it is aligned; on a big-endian
// machine it is just a buffer of that size.
func AsBytes(tags []uint64) []byte {
	if len(tags) == 0 {
		return nil
	}
	if littleEndian {
		return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(tags))), len(tags)*Size)
	}
	return AppendTags(make([]byte, 0, len(tags)*Size), tags)
}

// AsTags returns the whole tags in payload; up to seven bytes behind the last
// whole one are ignored. On a little-endian machine, and when payload is
// aligned, the result shares memory with payload. Otherwise the tags are
// decoded into scratch, which is replaced when it is too small.
func AsTags(payload []byte, scratch []uint64) []uint64 {
	n := len(payload) / Size
	if n == 0 {
		return nil
	}
	first := unsafe.Pointer(unsafe.SliceData(payload))
	if littleEndian && uintptr(first)%unsafe.Alignof(uint64(0)) == 0 {
		return unsafe.Slice((*uint64)(first), n)
	}
	return decodeTags(payload, scratch, n)
}

func decodeTags(payload []byte, scratch []uint64, n int) []uint64 {
	if cap(scratch) < n {
		scratch = make([]uint64, n)
	}
	scratch = scratch[:n]
	for i := range scratch {
		scratch[i] = binary.LittleEndian.Uint64(payload[i*Size:])
	}
	return scratch
}

// AppendTags appends tags to dst as little-endian 64-bit words.
func AppendTags(dst []byte, tags []uint64) []byte {
	if littleEndian && len(tags) > 0 {
		return append(dst, AsBytes(tags)...)
	}
	for _, t := range tags {
		dst = binary.LittleEndian.AppendUint64(dst, t)
	}
	return dst
}
