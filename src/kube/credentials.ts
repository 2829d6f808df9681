/** Who we are to the API server, and how we know that it is the one: looked at for every call, since tokens and CAs rotate. */

export interface Access {
  /** Always https. A path in it stands before that of every call. */
  readonly server: URL;
  readonly tls: AccessTls;
  readonly token?: string;
}

/** What makes a connection. Those who differ in it never share one. */
export interface AccessTls {
  /** PEM. Without it Node's own roots count. */
  readonly ca?: string;
  /** PEM, both or none. */
  readonly cert?: string;
  readonly key?: string;
  /** The name in the server's certificate, if it isn't the URL's host. */
  readonly serverName?: string;
}

export interface Credentials {
  /**
   * What holds now. `again`: the server did not accept what was given last, so what is on disk is looked at even if it was
   * looked at a moment ago. @throws Refusal `unavailable` if there has never been anything to go by.
   */
  current(again?: boolean): Promise<Access>;
}

export function fixedCredentials(access: Access): Credentials {
  return { current: async () => access };
}
