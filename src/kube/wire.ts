/** The types of `@kubernetes/client-node` as they are on the wire. Nothing of that package is there at run time: it costs 86 MB. */

/** In JSON every time is text; the package's types, made for what its own decoder returns, say `Date`. */
export type Wire<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? readonly Wire<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: Wire<T[Key]> }
      : T;
