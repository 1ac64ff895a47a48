package xdp

import (
	"encoding/binary"
	"net/netip"

	"github.com/cilium/ebpf/asm"
)

const (
	xdpPass = 2 // what the kernel does with a packet that is not taken

	// Fields of what the kernel gives a program (struct xdp_md).
	dataAt    = 0
	dataEndAt = 4
	queueAt   = 16
)

// program takes the datagrams from one address to another to the socket of the queue by
// which they came, and passes on all else, and them too where no socket is there.
func program(sockets int, local, remote netip.AddrPort) asm.Instructions {
	code := asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, dataEndAt, asm.Word),
		asm.LoadMem(asm.R3, asm.R1, dataAt, asm.Word),
		asm.LoadMem(asm.R6, asm.R1, queueAt, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R3),
		asm.Add.Imm(asm.R4, headers),
		asm.JGT.Reg(asm.R4, asm.R2, "pass"),
		asm.Mov.Reg(asm.R4, asm.R3), // whoever subtracts pointers needs more privileges
		asm.Add.Imm(asm.R4, longest+1),
		asm.JLE.Reg(asm.R4, asm.R2, "pass"),
	}
	is := func(at int16, size asm.Size, bytes ...byte) {
		code = append(code,
			asm.LoadMem(asm.R5, asm.R3, at, size),
			asm.JNE.Imm32(asm.R5, asLoaded(bytes), "pass"))
	}
	port := func(p uint16) []byte { return binary.BigEndian.AppendUint16(nil, p) }
	is(typeAt, asm.Half, port(typeIPv4)...)
	is(versionAt, asm.Byte, withoutOptions)
	is(protocolAt, asm.Byte, protocolUDP)
	is(sourceAt, asm.Word, remote.Addr().AsSlice()...)
	is(destinationAt, asm.Word, local.Addr().AsSlice()...)
	is(fromPortAt, asm.Half, port(remote.Port())...)
	is(toPortAt, asm.Half, port(local.Port())...)
	return append(code,
		asm.LoadMem(asm.R5, asm.R3, fragmentAt, asm.Half),
		asm.And.Imm32(asm.R5, asLoaded(port(fragmented))),
		asm.JNE.Imm32(asm.R5, 0, "pass"),
		asm.LoadMapPtr(asm.R1, sockets),
		asm.Mov.Reg(asm.R2, asm.R6),
		asm.Mov.Imm(asm.R3, xdpPass),
		asm.FnRedirectMap.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"),
		asm.Return(),
	)
}

// asLoaded is what a program has of bytes of a packet, which it loads as its processor
// does.
func asLoaded(bytes []byte) int32 {
	switch len(bytes) {
	case 1:
		return int32(bytes[0])
	case 2:
		return int32(binary.NativeEndian.Uint16(bytes))
	default:
		return int32(binary.NativeEndian.Uint32(bytes))
	}
}
