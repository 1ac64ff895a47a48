// Package pack is the compact form of a block of time tags: differences from
// tag to tag, each run of 128 in as many bits as its largest needs, or in Rice's
// code. Tags of a Poisson source take at most 1.1 of their entropy. At 100 kcps:
//
//	step    bytes a tag  entropy  ratio
//	1 ps    3.28         3.09     1.061
//	100 ps  2.27         2.26     1.005
//	2 ns    1.73         1.72     1.009
//
// [Append] packs the tags of one block, [Decode] unpacks them. A block stands
// alone: it holds its first tag, its count and a checksum, so a reader may
// begin at any, lose one, or unpack several at a time. [ReadHeader] tells from
// the first [HeaderSize] bytes how long a block is and what it holds.
//
//	 0  CRC-32C u32 of all bytes after it
//	 4  size u32: bytes of the whole block
//	 8  first tag u64, ps
//	16  count u32: tags, 1 to MaxTags; with the highest bit set, a tick follows
//	20  tick u64, ps, where that bit is set
//	 .  a code u8 for every run of differences: 0 to 64, the bits of each; 128
//	    to 168, 128 more than the lowest bits of each that are in the run
//	 .  the runs, each in whole words of 64 bits
//	 .  what is above the lowest bits, in whole words of 64 bits
//
// Numbers are little-endian. There is one difference fewer than tags; a run
// has 128 of them and the last what is left. Within a run the differences
// follow each other without gaps, from the lowest bit of the first word up;
// bits left over in its last word are 0. A run of equal tags has width 0 and no
// words.
//
// A device that counts in steps of more than 1 ps gives tags that are multiples
// of its step after the first one. Their greatest common divisor is the tick of
// the block, and differences are in ticks, where that takes fewer bytes. There,
// and only there, runs of 128 may be in Rice's code, where that takes fewer bits: the
// lowest bits of each difference are in the run, and what is above these is in
// unary behind all runs, one after another without gaps from the lowest bit up: as
// many 0 as the number, then a 1. Bits left over in the last word are 0.
//
// Differences are taken modulo 2^64, so tags in any order come back exactly;
// one that runs backwards costs its run 64 bits a tag.
package pack
