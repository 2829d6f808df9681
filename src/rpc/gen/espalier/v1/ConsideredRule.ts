// Original file: proto/espalier/v1/admin.proto


export interface ConsideredRule {
  'name'?: (string);
  'state'?: (string);
  'beatenBy'?: (string)[];
  'lacks'?: (string)[];
  'clusters'?: (string)[];
  'namespaces'?: (string)[];
  'serviceAccounts'?: (string)[];
  'proofs'?: (string)[];
}

export interface ConsideredRule__Output {
  'name': (string);
  'state': (string);
  'beatenBy': (string)[];
  'lacks': (string)[];
  'clusters': (string)[];
  'namespaces': (string)[];
  'serviceAccounts': (string)[];
  'proofs': (string)[];
}
