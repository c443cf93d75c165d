/** Which addresses processes listen on unless told. */

/** A first try on a laptop opens nothing to the network. */
export const loopback = "127.0.0.1"
/** A process of its own is there for others. */
export const everyAddress = "0.0.0.0"
