// Original file: proto/espalier/v1/admin.proto


export interface Serials {
  'serials'?: (string)[];
  'more'?: (boolean);
}

export interface Serials__Output {
  'serials': (string)[];
  'more': (boolean);
}
